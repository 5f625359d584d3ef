"""Median and adaptive median filters from sorting networks that neighbouring windows share."""
