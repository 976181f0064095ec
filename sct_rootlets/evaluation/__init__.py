"""Scores of rootlet maps against references, and comparisons of methods, contrasts, raters and repeated scans."""
