"""Known pictures that go the way of frames, so that the line proves all day that its detector sees what it must."""
