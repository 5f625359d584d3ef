"""Operations on images of any size, tile by tile as on the whole."""
