"""The sidebar tab of the 3D view."""

from . import main, result, setup

CLASSES = (
    main.FITTOPHOTO_PT_main,
    main.FITTOPHOTO_PT_advanced,
    result.FITTOPHOTO_PT_report,
    setup.FITTOPHOTO_PT_setup,
)
