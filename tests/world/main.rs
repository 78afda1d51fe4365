//! The simulated world and the door of the engine: campaigns, crashes, the law, the relay, signatures. No socket.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]
#![expect(clippy::disallowed_methods, reason = "a test reads scenarios and keeps keys in scratch folders")]

#[path = "../support/mod.rs"]
mod support;

mod a_day_after;
mod answers;
mod asked_alone;
mod bad_answers;
mod campaigns;
mod canaries;
mod closed_loop;
mod cloud_sessions;
mod crashes;
mod fleet;
mod fleet_engine;
mod fleet_rest;
mod fleet_whole;
mod forwarder_hazards;
mod further_sessions;
mod hearing;
mod law_search;
mod lean;
mod listening;
mod loop_records;
mod missing_files;
mod odds;
mod order_folder;
mod outages;
mod planned_rest;
mod region_page;
mod region_refusals;
mod region_tables;
mod relay;
mod rerun;
mod rerun_for_some;
mod rounds;
mod several_groups;
mod shared_radio;
#[cfg(feature = "daemon")]
mod signatures;
mod store_crashes;
mod time_left;
mod turns;
mod two_clocks;
mod verbs;
#[cfg(feature = "daemon")]
mod wait_bench;
#[cfg(feature = "daemon")]
mod waits;
