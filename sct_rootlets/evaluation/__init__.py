"""Segmentations scored against references, methods and contrasts compared, raters and repeated scans."""
