"""The sidebar tab of the 3D view."""

from . import main, photos, result, setup

CLASSES = (
    photos.FITTOPHOTO_UL_photos,
    photos.FITTOPHOTO_PT_photos,
    main.FITTOPHOTO_PT_main,
    main.FITTOPHOTO_PT_advanced,
    result.FITTOPHOTO_PT_result,
    result.FITTOPHOTO_PT_report,
    setup.FITTOPHOTO_PT_setup,
)
