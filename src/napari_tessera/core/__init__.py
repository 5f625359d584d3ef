"""The ground: axes, images, tile geometry, job events and errors. Imports numpy and the standard library only."""
