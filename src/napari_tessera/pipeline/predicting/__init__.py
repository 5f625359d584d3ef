"""Models on images of any size: what a tile needs, intensities of the whole image, the job."""
