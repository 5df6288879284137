//! Pure: no I/O, no clock, no runtime. [`facts`] are observed; [`state`] and [`in_use`] say what they mean; [`plan`] and [`check`] what
//! may be done next, and what may not; [`fleet`] whose turn it is among many accounts; [`effects`] what carries a step out, and in which
//! order; [`explain`] what holds where that stopped. [`invariants`] are what tests judge with.
//!
#![doc = include_str!("../../../docs/protocol.md")]

pub mod check;
pub mod checkup;
pub mod effects;
pub mod event;
pub mod explain;
pub mod facts;
pub mod fleet;
pub mod happening;
pub mod hint;
pub mod in_use;
pub mod invariants;
pub mod live;
pub mod lock;
pub mod plan;
pub mod problem;
pub mod record;
pub mod result;
pub mod state;
pub mod status;
pub mod step;
pub mod trail;
