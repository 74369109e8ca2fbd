"""How far two pictures are apart."""

import numpy as np

MAX_PSNR = 99.0  # of equal pictures


def psnr(found: np.ndarray, wanted: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of linear values (H, W, 3), both clipped to 0..1."""
    error = np.mean((np.clip(found, 0, 1).astype(np.float64) - np.clip(wanted, 0, 1)) ** 2)
    return MAX_PSNR if error == 0 else min(MAX_PSNR, float(-10 * np.log10(error)))


def mask_iou(found: np.ndarray, wanted: np.ndarray) -> float:
    """Intersection over union of two coverages (H, W), taken as masks at one half."""
    a, b = found >= 0.5, wanted >= 0.5
    return float((a & b).sum() / max((a | b).sum(), 1))


def edge_distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean distance between the outlines of two coverages (H, W), in pixels: the area between them over the outline's length."""
    padded = np.pad(wanted.astype(np.float64), 1, mode="edge")
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    length = np.hypot(across, down).sum()
    return float(np.abs(found.astype(np.float64) - wanted).sum() / max(length, 1e-9))
