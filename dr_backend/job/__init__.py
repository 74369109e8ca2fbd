"""The job: settings, folder and events. Torch-free; both programs import it."""

from .events import PROTOCOL_VERSION, Event, JobError, parse_event
from .folder import JobFolder
from .settings import LARGEST_PHOTO, QUALITIES, FitSettings

__all__ = ["LARGEST_PHOTO", "PROTOCOL_VERSION", "QUALITIES", "Event", "FitSettings", "JobError", "JobFolder", "parse_event"]
