"""What the tab shows while a fit runs."""

import bpy

from dr_backend.language import told

from .. import session
from ..loss_plot import loss_icon
from ..progress import duration
from .tab import labelled, wrapped

_PLOT_SCALE = 5.0  # times a button's height
MAX_WARNINGS = 4


def draw_progress(layout: bpy.types.UILayout, fit: session.Session) -> None:
    """Draws stage, bar, loss curve, time left and the buttons."""
    progress = fit.progress
    running = fit.state is session.State.RUNNING and not fit.cancelling
    paused = fit.paused and running
    layout.label(text="Paused" if paused else progress.activity, icon="PAUSE" if paused else "NONE")
    layout.progress(factor=progress.fraction, type="BAR", text=_step(fit))
    if progress.losses and running:
        halves = layout.box().split(factor=0.5)
        halves.template_icon(loss_icon(progress.losses), scale=_PLOT_SCALE)
        column = halves.column(align=True)
        column.label(text=told("Loss {loss:.4g}", loss=progress.loss))
        if progress.seconds_left is not None:
            column.label(text=told("{time} left", time=duration(progress.seconds_left)))
        column.label(text=told("{renderer} on {device}", renderer=labelled(progress.renderer), device=labelled(progress.device)))
    buttons = layout.column(align=True)
    if running:
        buttons.operator("fit_to_photo.pause", text="Continue" if paused else "Pause", icon="PLAY" if paused else "PAUSE")
    if fit.changed:  # clicks are not heard until the last render, so that result and report are one undo step
        buttons.label(text="Esc: Skip Renders", icon="EVENT_ESC")
    else:
        buttons.operator("fit_to_photo.cancel", text="Stop and Keep Best", icon="CANCEL")
    if progress.why:
        wrapped(layout, progress.why, "INFO")
    for warning in fit.warnings[:MAX_WARNINGS]:  # in time to stop and mend it
        wrapped(layout, warning, "ERROR")


def _step(fit: session.Session) -> str:
    progress = fit.progress
    return told("Step {step} of {steps}", step=progress.step, steps=progress.steps) if progress.steps else ""
