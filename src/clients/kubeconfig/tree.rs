//! Where in a kubeconfig's text each YAML node stands, so that one of them can be changed and the rest left alone.

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

/// A node and the bytes that it takes. A block collection ends with its last child, not with the blanks after it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar {
        value: String,
        style: ScalarStyle,
    },
    Mapping {
        flow: bool,
        entries: Vec<(Node, Node)>,
    },
    Sequence {
        flow: bool,
        items: Vec<Node>,
    },
    /// Stands for a node elsewhere.
    Alias,
}

impl Node {
    /// The entries of a mapping.
    pub(super) fn entries(&self) -> &[(Node, Node)] {
        match &self.kind {
            Kind::Mapping { entries, .. } => entries,
            Kind::Scalar { .. } | Kind::Sequence { .. } | Kind::Alias => &[],
        }
    }

    /// The key and the value of an entry of a mapping; of one that stands twice the last, which is the one that counts.
    pub(super) fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.entries().iter().rev().find(|(name, _)| name.text() == Some(key))
    }

    /// The value of an entry of a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The items of a sequence.
    pub(super) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::Sequence { items, .. } => items,
            Kind::Scalar { .. } | Kind::Mapping { .. } | Kind::Alias => &[],
        }
    }

    /// A scalar's text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { value, .. } => Some(value),
            Kind::Mapping { .. } | Kind::Sequence { .. } | Kind::Alias => None,
        }
    }

    /// Whether it is nothing: not written, `~`, `null`, or a collection without a child.
    pub(super) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Scalar { value, style } => {
                *style == ScalarStyle::Plain && matches!(value.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Kind::Mapping { entries, .. } => entries.is_empty(),
            Kind::Sequence { items, .. } => items.is_empty(),
            Kind::Alias => false,
        }
    }
}

/// The one document of a text; none when it has no content. An error says why its places cannot be told.
pub(super) fn read(text: &str) -> Result<Option<Node>, &'static str> {
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|_| "is not valid YAML")?;
        let range = || span.byte_range().ok_or("cannot be followed");
        let done = match event {
            Event::DocumentStart(..) => {
                documents += 1;
                if documents > 1 {
                    return Err("has more than one YAML document");
                }
                continue;
            }
            Event::Scalar(value, style, _, tag) => {
                if tag.is_some() {
                    return Err("has YAML tags");
                }
                let range = range()?;
                Node {
                    kind: Kind::Scalar { value: value.into_owned(), style },
                    start: range.start,
                    end: trimmed(text, range.start, range.end),
                }
            }
            Event::Alias(_) => Node { kind: Kind::Alias, start: range()?.start, end: range()?.end },
            Event::MappingStart(style, _, _) => {
                open.push(Open {
                    mapping: true,
                    flow: style == StructureStyle::Flow,
                    start: range()?.start,
                    nodes: Vec::new(),
                });
                continue;
            }
            Event::SequenceStart(style, _, _) => {
                open.push(Open {
                    mapping: false,
                    flow: style == StructureStyle::Flow,
                    start: range()?.start,
                    nodes: Vec::new(),
                });
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let end = range()?.end;
                open.pop().ok_or("cannot be followed")?.close(end)
            }
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.nodes.push(done),
            None => root = Some(done),
        }
    }
    Ok(root)
}

/// A collection whose end has not come yet.
struct Open {
    mapping: bool,
    flow: bool,
    start: usize,
    nodes: Vec<Node>,
}

impl Open {
    fn close(self, end: usize) -> Node {
        let Open { mapping, flow, start, nodes } = self;
        // The end of a block collection is where the parser noticed it: past comments that belong to what follows.
        let end = if flow { end } else { nodes.last().map_or(start, |last| last.end) };
        // A block mapping's own start may be that of its first key's anchor; the first child's is what columns go by.
        let start = if flow { start } else { nodes.first().map_or(start, |first| first.start) };
        let kind = match mapping {
            true => {
                let mut entries = Vec::new();
                let mut nodes = nodes.into_iter();
                while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
                    entries.push((key, value));
                }
                Kind::Mapping { flow, entries }
            }
            false => Kind::Sequence { flow, items: nodes },
        };
        Node { kind, start, end }
    }
}

/// `end` without blanks and line ends before it: some styles of scalar end where the next token begins.
fn trimmed(text: &str, start: usize, end: usize) -> usize {
    let kept = text.get(start..end).map_or(0, |taken| taken.trim_end().len());
    start + kept
}
