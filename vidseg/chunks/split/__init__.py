"""One long video done by several processes at once, and joined without a seam."""
