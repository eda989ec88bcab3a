"""The Messages API itself: bodies, headers, streams. Pure, as a folder."""
