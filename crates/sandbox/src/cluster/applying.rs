//! Server-side apply: the writer's configuration becomes the object's, and what it no longer names goes.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, Refusal};
use super::error::StoreError;
use super::fields::Write;
use super::fieldset::{Difference, FieldSet};
use super::meta::text;
use super::request::{Ask, Target};
use super::resource::Resource;
use super::store::Store;
use super::view::View;
use super::{fields, patch, rules};
use crate::body::Body;

/// Applies a configuration to the object of this name, and makes it when it is not there.
pub(super) fn apply(
    store: &Store,
    ask: &Ask,
    target: &Target,
    name: &str,
    mut configuration: Value,
) -> Result<Response<Body>, Refusal> {
    let manager = ask.query.text("fieldManager");
    if manager.is_empty() {
        return Err(Refusal::invalid_options(
            "PatchOptions",
            "fieldManager",
            "FieldValueRequired",
            "Required value: is required for apply patch",
        ));
    }
    if configuration["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    configuration["metadata"]["name"] = json!(name);
    rules::check_readable(target.resource, &configuration)?;
    let view = View::of(ask, target)?;
    let write = Write { apply: true, dry_run: ask.dry_run()?, subresource: &target.subresource, ..Write::by(manager) };
    let namespace = target.namespace.as_deref();
    let applied = fields::of(target.resource, &configuration);
    if store.get(target.resource, namespace, name).is_none() && target.subresource.is_empty() {
        let mut object = configuration;
        if let (true, Some(fields)) = (target.resource.has_status, object.as_object_mut()) {
            fields.shift_remove("status");
        }
        fields::record_apply(target.resource, &mut object, &applied, &write, &ask.clock.now());
        let made = store.insert(target.resource, namespace, object, &write)?;
        return Ok(answer::object(StatusCode::CREATED, &view.one(&made)));
    }
    let mut conflict = None;
    let force = ask.query.flag("force");
    let done = store.modify(target.resource, namespace, name, &write, |object| {
        match merge(target.resource, object, &configuration, &applied, &write, (force, &ask.clock.now())) {
            Ok(()) => Ok(()),
            Err(Outcome::Refused(error)) => Err(error),
            Err(Outcome::Conflicts(refusal)) => {
                conflict = Some(refusal);
                // The text is never shown: `conflict` is.
                Err(StoreError::BadRequest(String::new()))
            }
        }
    });
    match conflict {
        Some(refusal) => Err(refusal),
        None => Ok(answer::object(StatusCode::OK, &view.one(&done?))),
    }
}

enum Outcome {
    Refused(StoreError),
    Conflicts(Refusal),
}

fn merge(
    resource: &'static Resource,
    object: &mut Value,
    configuration: &Value,
    applied: &FieldSet,
    write: &Write<'_>,
    (force, now): (bool, &str),
) -> Result<(), Outcome> {
    let before = object.clone();
    patch::apply(patch::Form::Apply, resource, object, configuration)
        .map_err(|_| Outcome::Refused(StoreError::BadRequest("the applied configuration is no object".to_owned())))?;
    patch::check_identity(resource, &before, object).map_err(Outcome::Refused)?;
    let changed = Difference::between(&before, object, resource.custom).set.common(applied);
    let others = fields::others(resource, &before, write);
    let conflicts: Vec<(&Value, FieldSet)> = others
        .iter()
        .map(|(entry, owned)| (entry, owned.common(&changed)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(Outcome::Conflicts(conflict(&conflicts)));
    }
    // Its own fields that it no longer names go, unless somebody else wants them too.
    let mut gone = fields::applied_by(resource, &before, write);
    gone.subtract(&applied.clone().with_containers());
    for (_, owned) in others {
        gone.subtract(&owned.with_containers());
    }
    gone.remove_from(object);
    if *object != before || fields::applied_by(resource, &before, write) != *applied {
        fields::record_apply(resource, object, applied, write, now);
    }
    Ok(())
}

fn conflict(conflicts: &[(&Value, FieldSet)]) -> Refusal {
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for (entry, fields) in conflicts {
        let part = match text(&entry["subresource"]) {
            "" => String::new(),
            subresource => format!(" with subresource {subresource:?}"),
        };
        let using = match text(&entry["operation"]) {
            "Update" => format!(" using {}", text(&entry["apiVersion"])),
            _ => String::new(),
        };
        let with = format!("conflict with {:?}{part}{using}", text(&entry["manager"]));
        let paths = fields.paths();
        for path in &paths {
            causes.push(json!({"reason": "FieldManagerConflict", "message": with, "field": path}));
        }
        lines.push((with, paths));
    }
    let count = causes.len();
    let noun = if count == 1 { "conflict" } else { "conflicts" };
    let message = match lines.as_slice() {
        [(with, paths)] if paths.len() == 1 => format!("Apply failed with {count} {noun}: {with}: {}", paths[0]),
        lines => {
            let lines: Vec<String> =
                lines.iter().map(|(with, paths)| format!("{with}:\n- {}", paths.join("\n- "))).collect();
            format!("Apply failed with {count} {noun}: {}", lines.join("\n"))
        }
    };
    Refusal::apply_conflict(message, causes)
}
