//! The driver around a fake node, over real sockets of the loopback.

mod desk;
mod doors;
mod full_disk;
mod inward;
mod outside;
mod public;
mod real;
mod world;
mod writing;
