//! The simulated world: doubles of everything `fuotad` meets, in virtual time, from one seed. No clock, no
//! socket, no file; the same seed gives the same world, microsecond for microsecond.
//!
//! The doubles are independent readings of their originals: [`concentrator`] shares no code with the room
//! that speaks to packet forwarders, so that the one judges the other.

pub mod concentrator;
pub mod disk;
pub mod random;
