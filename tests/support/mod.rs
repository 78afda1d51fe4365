//! What the test programs share: a small world, the real process in a site of its own, doubles of everybody else.
#![allow(dead_code, reason = "each test program uses its part")]

pub mod broker;
#[cfg(feature = "aws")]
pub mod cloud_side;
#[cfg(feature = "aws")]
pub mod credential_provider;
#[cfg(feature = "aws")]
pub mod fake_aws;
pub mod openssl;
#[cfg(feature = "daemon")]
pub mod scenarios;
pub mod scratch;
#[cfg(feature = "daemon")]
pub mod site;
pub mod small_world;
