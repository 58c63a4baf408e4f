//! What is asked of a contract as a whole: which requests are bytes, forms and WebSockets, and which messages are events.

use super::{Api, Binding, Body, Event, Field, HTTP_BODY, Message, Method, Shape, Type};

impl Api {
    /// Whether the answer to a request like this is bytes as they are; `output` is the full name of the answer.
    pub fn answers_bytes(&self, output: &str, binding: &Binding) -> bool {
        match &binding.response_body {
            None => output == HTTP_BODY,
            Some(name) => self.is_http_body(output, name),
        }
    }

    /// Whether the body of a request like this is taken as the bytes it is; `input` is the full name of the request.
    pub fn takes_bytes(&self, input: &str, binding: &Binding) -> bool {
        match &binding.body {
            Body::None => false,
            Body::Whole => input == HTTP_BODY,
            Body::Field(name) => self.is_http_body(input, name),
        }
    }

    /// The fields of a request that are files, where a request like this may be a form; none where it may not. Each with
    /// the messages that it is inside of, of which there is one at most: not in lists, maps and oneofs, nor inside itself.
    pub fn files(&self, method: &Method, binding: &Binding) -> Vec<Vec<&Field>> {
        if method.client_streaming
            || binding.body != Body::Whole
            || self.takes_bytes(&method.input, binding)
        {
            return Vec::new();
        }
        let mut found = Vec::new();
        if let Some((name, _)) = self.messages.get_key_value(&method.input) {
            self.files_inside(name, &mut vec![name], &mut Vec::new(), &mut found);
        }
        found
    }

    fn files_inside<'a>(
        &'a self,
        message: &str,
        open: &mut Vec<&'a str>,
        path: &mut Vec<&'a Field>,
        found: &mut Vec<Vec<&'a Field>>,
    ) {
        for field in &self.messages[message].fields {
            path.push(field);
            match &field.ty {
                _ if field.is_file() => found.push(path.clone()),
                Type::Message(inner)
                    if matches!(field.shape, Shape::Optional | Shape::Boxed)
                        && !open.contains(&inner.as_str()) =>
                {
                    open.push(inner);
                    self.files_inside(inner, open, path, found);
                    open.pop();
                }
                _ => {}
            }
            path.pop();
        }
    }

    /// Whether a WebSocket that is opened with the path of this binding makes a call of it: that of GET first, of those
    /// whose RPC streams, as the router does it.
    pub fn takes_websocket(&self, method: &Method, binding: &Binding) -> bool {
        const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        let rank = |name: &str| METHODS.iter().position(|known| *known == name);
        let key = |binding: &Binding| {
            let name = binding.method.clone();
            (rank(&name).unwrap_or(METHODS.len()), name)
        };
        let same = |other: &&Binding| {
            other.template.segments == binding.template.segments
                && other.template.verb == binding.template.verb
        };
        let streams = self.services.iter().flat_map(|service| &service.methods);
        let bindings = streams.filter(|method| method.is_streaming());
        let bindings = bindings.flat_map(|method| &method.bindings).filter(same);
        method.is_streaming()
            && !self.omit_websockets
            && bindings.map(key).min() == Some(key(binding))
    }

    fn is_http_body(&self, message: &str, field: &str) -> bool {
        let field = self.messages[message].field(field);
        field.is_some_and(Field::is_http_body)
    }

    /// The messages that are events, with their full names: the published ones first, each by name.
    pub fn events(&self) -> Vec<(&str, &Message, &Event)> {
        let events = self.messages.iter().filter_map(|(name, message)| {
            let event = message.event.as_ref()?;
            Some((name.as_str(), message, event))
        });
        let mut events: Vec<_> = events.collect();
        events.sort_by_key(|(name, _, event)| (event.direction, *name));
        events
    }
}
