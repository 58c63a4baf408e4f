//! Messages that contain themselves, through fields that hold one message: there prost has a box.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, MessageDescriptor};

/// The messages of a contract, those on a common cycle under one number.
pub(super) struct Cycles(HashMap<String, usize>);

impl Cycles {
    /// Finds the cycles: strongly connected components, as Kosaraju does it, in time that grows with the fields.
    pub(super) fn new(pool: &DescriptorPool) -> Self {
        let messages: Vec<_> = pool.all_messages().collect();
        let places = messages.iter().enumerate();
        let places: HashMap<_, _> = places
            .map(|(at, message)| (message.full_name(), at))
            .collect();
        let mut inner = vec![Vec::new(); messages.len()];
        let mut outer = vec![Vec::new(); messages.len()];
        for (at, message) in messages.iter().enumerate() {
            let one = message
                .fields()
                .filter(|field| !field.is_list() && !field.is_map());
            for kind in one.map(|field| field.kind()) {
                let to = kind.as_message().and_then(|to| places.get(to.full_name()));
                if let Some(to) = to {
                    inner[at].push(*to);
                    outer[*to].push(at);
                }
            }
        }
        let mut order = Vec::new();
        let mut seen = vec![false; messages.len()];
        for start in 0..messages.len() {
            visit(start, &inner, &mut seen, &mut order);
        }
        let mut numbers = HashMap::new();
        let mut seen = vec![false; messages.len()];
        for start in order.into_iter().rev() {
            let mut cycle = Vec::new();
            visit(start, &outer, &mut seen, &mut cycle);
            for at in cycle {
                numbers.insert(messages[at].full_name().to_owned(), start);
            }
        }
        Self(numbers)
    }

    /// Whether a message that has a field of another is, through it, contained in itself.
    pub(super) fn through(&self, outer: &MessageDescriptor, inner: &MessageDescriptor) -> bool {
        let number = |message: &MessageDescriptor| self.0.get(message.full_name());
        number(outer).is_some() && number(outer) == number(inner)
    }
}

/// Adds what can be reached and was not seen, each after all that is reached from it.
fn visit(start: usize, edges: &[Vec<usize>], seen: &mut [bool], order: &mut Vec<usize>) {
    if std::mem::replace(&mut seen[start], true) {
        return;
    }
    let mut open = vec![(start, 0)];
    while let Some((at, next)) = open.last_mut() {
        if let Some(to) = edges[*at].get(*next).copied() {
            *next += 1;
            if !std::mem::replace(&mut seen[to], true) {
                open.push((to, 0));
            }
        } else {
            order.push(*at);
            open.pop();
        }
    }
}
