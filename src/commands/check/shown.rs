//! `check --list` and `check --explain`: what there is to ask, from the one table. Asks nothing.

use serde_json::{Value, json};

use crate::cli;
use crate::commands::{Voice, names, speak};
use crate::present::Listing;
use deepdesk_protocol::check::catalogue::{CATALOGUE, Entry};
use deepdesk_protocol::check::explanations;
use deepdesk_protocol::command;
use deepdesk_protocol::hint::Hint;
use deepdesk_protocol::problem::{Exit, Problem, Reason};
use deepdesk_protocol::result::API_VERSION;

/// Shows them; returns the exit code.
pub fn shown(args: &cli::Check, voice: &Voice) -> u8 {
    let mut speaker = speak(voice);
    match &args.explain {
        None => {
            let object = json!({"apiVersion": API_VERSION, "kind": "CheckList",
                "items": CATALOGUE.iter().map(object).collect::<Vec<_>>()});
            let rows = CATALOGUE.iter().map(|entry| vec![entry.id.to_owned(), entry.name.to_owned()]);
            speaker.list(
                &object,
                &Listing {
                    titles: vec!["ID", "NAME"],
                    rows: rows.collect(),
                    names: CATALOGUE.iter().map(|entry| entry.id.to_owned()).collect(),
                },
            );
            Exit::Done.code()
        }
        Some(given) => {
            let is_meant =
                |entry: &&Entry| [entry.id, entry.name].iter().any(|known| known.eq_ignore_ascii_case(given));
            match CATALOGUE.iter().find(is_meant) {
                Some(entry) => {
                    speaker.paragraph(&object(entry), &told(entry));
                    Exit::Done.code()
                }
                None => {
                    let problem = unknown(given);
                    speaker.no_result(json!({"kind": "CheckExplanation"}), &problem);
                    speaker.problem(&problem);
                    problem.exit.code()
                }
            }
        }
    }
}

fn unknown(given: &str) -> Problem {
    let problem = Problem::new(Reason::Usage, format!("`{given}` is neither the id nor the name of a check"));
    let ids = CATALOGUE.iter().map(|entry| entry.id);
    match names::near(given, ids).as_slice() {
        [] => problem.hint(Hint::to("see them all", command!["kubectl", "deepdesk", "check", "--list"])),
        near => problem.hint(format!("did you mean {}?", near.join(", "))),
    }
}

fn object(entry: &Entry) -> Value {
    let explained = explanations::of(entry.id);
    json!({"apiVersion": API_VERSION, "kind": "CheckExplanation", "id": entry.id, "name": entry.name,
        "group": entry.group.0, "title": entry.title,
        "explanation": explained.map(|explained| explained.text).unwrap_or_default()})
}

/// Its id and name, what should hold, and the paragraph.
fn told(entry: &Entry) -> Vec<String> {
    let text = explanations::of(entry.id).map(|explained| explained.text.to_owned()).unwrap_or_default();
    vec![format!("{} ({})", entry.id, entry.name), format!("Holds where: {}.", entry.title), text]
}
