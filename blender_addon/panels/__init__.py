"""The sidebar tab of the 3D view, and its menu."""

from . import main, menu, photos, presets, result, setup, views

CLASSES = (
    presets.FITTOPHOTO_MT_presets,
    menu.FITTOPHOTO_MT_view,
    photos.FITTOPHOTO_UL_photos,
    photos.FITTOPHOTO_PT_photos,
    main.FITTOPHOTO_PT_main,
    main.FITTOPHOTO_PT_advanced,
    result.FITTOPHOTO_PT_result,
    views.FITTOPHOTO_PT_views,
    result.FITTOPHOTO_PT_report,
    setup.FITTOPHOTO_PT_setup,
)
