"""The buttons: what F3 finds, scripts call and panels show."""

from . import fit, import_cameras, manual, masks, photos, place_mesh, presets, result, setup, views

CLASSES = (
    fit.FITTOPHOTO_OT_run,
    fit.FITTOPHOTO_OT_resume,
    fit.FITTOPHOTO_OT_discard,
    fit.FITTOPHOTO_OT_pause,
    fit.FITTOPHOTO_OT_cancel,
    result.FITTOPHOTO_OT_revert,
    result.FITTOPHOTO_OT_keep,
    result.FITTOPHOTO_OT_look_through,
    result.FITTOPHOTO_OT_copy_report,
    views.FITTOPHOTO_OT_render_view,
    photos.FITTOPHOTO_OT_add_photos,
    photos.FITTOPHOTO_OT_match_photo,
    masks.FITTOPHOTO_OT_add_mask,
    import_cameras.FITTOPHOTO_OT_import_cameras,
    place_mesh.FITTOPHOTO_OT_place_mesh,
    presets.FITTOPHOTO_OT_use_preset,
    presets.FITTOPHOTO_OT_add_preset,
    setup.FITTOPHOTO_OT_check_setup,
    setup.FITTOPHOTO_OT_setup_backend,
    setup.FITTOPHOTO_OT_cancel_setup,
    setup.FITTOPHOTO_OT_copy_command,
    manual.FITTOPHOTO_OT_open_help,
)
