"""From surface and light to radiance, in Blender's units."""
