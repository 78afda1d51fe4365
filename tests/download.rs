//! The download of images through everything a backhaul can do.
