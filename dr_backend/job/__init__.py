"""The job: settings, folder and events. Torch-free; both programs import it."""

from .events import PROTOCOL_VERSION, Event, JobError, parse_event
from .folder import JobFolder
from .settings import QUALITIES, FitSettings

__all__ = ["PROTOCOL_VERSION", "QUALITIES", "Event", "FitSettings", "JobError", "JobFolder", "parse_event"]
