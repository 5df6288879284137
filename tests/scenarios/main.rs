//! What happens to accounts, told once and played in two worlds: the sandbox, and the real Kubernetes and External Secrets
//! of tests/control-plane (`DEEPDESK_WORLD=control-plane`). Where the two disagree, the sandbox is wrong.
//!
//! Every scenario makes an account of its own in a world that all of them share, so none may turn a knob that others
//! would feel. What goes wrong is made to go wrong in the objects themselves, as it does for real.

#[macro_use]
extern crate needs;

#[path = "../shared/process.rs"]
mod process;

mod account;
mod discovery;
mod drift;
mod evidence;
mod external_secrets;
mod facts;
mod installed;
mod interruptions;
mod journal;
mod main_job;
mod measured;
mod old_key;
mod others;
mod refusals;
mod rights;
mod rollouts;
mod runbook;
mod world;
