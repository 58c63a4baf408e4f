impl ::transcode::json::Enum for Material {
    const NAMES: &'static [&'static str] = &["wood"];
    const BY_NAME_ONLY: bool = true;
    fn number(name: &str) -> ::core::option::Option<i32> {
        match name {
            "wood" => Some(1i32),
            _ => None,
        }
    }
    fn name(number: i32) -> ::core::option::Option<&'static str> {
        match number {
            0i32 => Some("MATERIAL_UNSPECIFIED"),
            1i32 => Some("wood"),
            _ => None,
        }
    }
    fn canonical_number(name: &str) -> Option<i32> {
        match name {
            "MATERIAL_UNSPECIFIED" => Some(0i32),
            "MATERIAL_WOOD" => Some(1i32),
            _ => None,
        }
    }
    fn canonical_name(number: i32) -> Option<&'static str> {
        match number {
            0i32 => Some("MATERIAL_UNSPECIFIED"),
            1i32 => Some("MATERIAL_WOOD"),
            _ => None,
        }
    }
}
impl ::transcode::json::Message for BookShelvedEvent {
    fn field(name: &str) -> ::core::option::Option<&'static ::transcode::json::Field> {
        static FIELDS: [::transcode::json::Field; 2usize] = [
            ::transcode::json::Field::new(0u16, "titles", "titles", true),
            ::transcode::json::Field::new(1u16, "mover", "mover", false),
        ];
        match name {
            "titles" => Some(&FIELDS[0usize]),
            "mover" => Some(&FIELDS[1usize]),
            _ => None,
        }
    }
    fn decode_field<'de, D: ::transcode::serde::Deserializer<'de>>(
        &mut self,
        index: u16,
        deserializer: D,
        context: &mut ::transcode::json::Context,
    ) -> ::core::result::Result<(), D::Error> {
        match index {
            0u16 => {
                ::transcode::json::append::<
                    ::transcode::json::kind::Repeated<::transcode::json::kind::Str>,
                    _,
                >(&mut self.titles, deserializer, context)
            }
            1u16 => {
                ::transcode::json::optional::<
                    ::transcode::json::kind::Message<Mover>,
                    _,
                >(&mut self.mover, deserializer, context)
            }
            _ => ::transcode::json::skip(deserializer, context),
        }
    }
}
impl ::transcode::json::Binder for BookShelvedEvent {
    #[allow(unused_variables)]
    fn bind(
        &mut self,
        path: &str,
        text: &str,
        context: &mut ::transcode::json::Context,
    ) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let _ = (rest, text);
        match name {
            "titles" => {
                context
                    .at(
                        "titles",
                        |context| ::transcode::json::bind_repeated::<
                            ::transcode::json::kind::Str,
                        >(rest, text, context, |value| self.titles.push(value)),
                    )
            }
            "mover" => {
                context
                    .at(
                        "mover",
                        |context| ::transcode::json::bind_message(
                            self.mover.get_or_insert_default(),
                            rest,
                            text,
                            context,
                        ),
                    )
            }
            _ => context.unknown(name),
        }
    }
}
impl ::transcode::serde::Serialize for BookShelvedEvent {
    fn serialize<S: ::transcode::serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::core::result::Result<S::Ok, S::Error> {
        use ::transcode::serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(
            "titles",
            &::transcode::json::As::<
                ::transcode::json::kind::Repeated<::transcode::json::kind::Str>,
            >(&self.titles),
        )?;
        if let Some(value) = &self.mover {
            map.serialize_entry(
                "mover",
                &::transcode::json::As::<::transcode::json::kind::Message<Mover>>(value),
            )?;
        }
        map.end()
    }
}
impl<'de> ::transcode::serde::Deserialize<'de> for BookShelvedEvent {
    fn deserialize<D: ::transcode::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> ::core::result::Result<Self, D::Error> {
        ::transcode::json::deserialize(deserializer)
    }
}
impl ::transcode::validate::Validate for BookShelvedEvent {
    #[allow(unused_variables, clippy::cognitive_complexity, clippy::too_many_lines)]
    fn validate(&self, violations: &mut ::transcode::Violations) {
        violations
            .field(
                "mover",
                |violations| {
                    if let Some(value) = &self.mover {
                        ::transcode::validate::Validate::validate(value, violations);
                    }
                },
            );
    }
    #[allow(unused_variables)]
    fn path(path: &str) -> ::transcode::validate::MaskPath {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match name {
            "titles" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "titles" => ::transcode::validate::MaskPath::Unknown,
            "mover" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "mover" => <Mover as ::transcode::validate::Validate>::path(rest),
            _ => ::transcode::validate::MaskPath::Unknown,
        }
    }
}
impl ::transcode::json::Message for ImportShelvesRequest {
    fn field(name: &str) -> ::core::option::Option<&'static ::transcode::json::Field> {
        static FIELDS: [::transcode::json::Field; 1usize] = [
            ::transcode::json::Field::new(0u16, "table", "table", false),
        ];
        match name {
            "table" => Some(&FIELDS[0usize]),
            _ => None,
        }
    }
    fn decode_field<'de, D: ::transcode::serde::Deserializer<'de>>(
        &mut self,
        index: u16,
        deserializer: D,
        context: &mut ::transcode::json::Context,
    ) -> ::core::result::Result<(), D::Error> {
        match index {
            0u16 => {
                ::transcode::json::optional::<
                    ::transcode::json::kind::Message<
                        super::super::google::api::HttpBody,
                    >,
                    _,
                >(&mut self.table, deserializer, context)
            }
            _ => ::transcode::json::skip(deserializer, context),
        }
    }
}
impl ::transcode::json::Binder for ImportShelvesRequest {
    #[allow(unused_variables)]
    fn bind(
        &mut self,
        path: &str,
        text: &str,
        context: &mut ::transcode::json::Context,
    ) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let _ = (rest, text);
        match name {
            "table" => {
                context
                    .at(
                        "table",
                        |context| ::transcode::json::bind_message(
                            self.table.get_or_insert_default(),
                            rest,
                            text,
                            context,
                        ),
                    )
            }
            _ => context.unknown(name),
        }
    }
}
impl ::transcode::serde::Serialize for ImportShelvesRequest {
    fn serialize<S: ::transcode::serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::core::result::Result<S::Ok, S::Error> {
        use ::transcode::serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        if let Some(value) = &self.table {
            map.serialize_entry(
                "table",
                &::transcode::json::As::<
                    ::transcode::json::kind::Message<super::super::google::api::HttpBody>,
                >(value),
            )?;
        }
        map.end()
    }
}
impl<'de> ::transcode::serde::Deserialize<'de> for ImportShelvesRequest {
    fn deserialize<D: ::transcode::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> ::core::result::Result<Self, D::Error> {
        ::transcode::json::deserialize(deserializer)
    }
}
impl ::transcode::validate::Validate for ImportShelvesRequest {
    #[allow(unused_variables, clippy::cognitive_complexity, clippy::too_many_lines)]
    fn validate(&self, violations: &mut ::transcode::Violations) {
        violations
            .field(
                "table",
                |violations| {
                    if let Some(value) = &self.table {
                        ::transcode::validate::Validate::validate(value, violations);
                    } else {
                        violations.add("Is required");
                    }
                },
            );
    }
    #[allow(unused_variables)]
    fn path(path: &str) -> ::transcode::validate::MaskPath {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match name {
            "table" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "table" => {
                <super::super::google::api::HttpBody as ::transcode::validate::Validate>::path(
                    rest,
                )
            }
            _ => ::transcode::validate::MaskPath::Unknown,
        }
    }
}
impl ::transcode::json::Message for Mover {
    fn field(name: &str) -> ::core::option::Option<&'static ::transcode::json::Field> {
        static FIELDS: [::transcode::json::Field; 1usize] = [
            ::transcode::json::Field::new(0u16, "name", "name", true),
        ];
        match name {
            "name" => Some(&FIELDS[0usize]),
            _ => None,
        }
    }
    fn decode_field<'de, D: ::transcode::serde::Deserializer<'de>>(
        &mut self,
        index: u16,
        deserializer: D,
        context: &mut ::transcode::json::Context,
    ) -> ::core::result::Result<(), D::Error> {
        match index {
            0u16 => {
                ::transcode::json::singular::<
                    ::transcode::json::kind::Str,
                    _,
                >(&mut self.name, deserializer, context)
            }
            _ => ::transcode::json::skip(deserializer, context),
        }
    }
}
impl ::transcode::json::Binder for Mover {
    #[allow(unused_variables)]
    fn bind(
        &mut self,
        path: &str,
        text: &str,
        context: &mut ::transcode::json::Context,
    ) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let _ = (rest, text);
        match name {
            "name" => {
                context
                    .at(
                        "name",
                        |context| ::transcode::json::bind_singular::<
                            ::transcode::json::kind::Str,
                        >(rest, text, context, |value| self.name = value),
                    )
            }
            _ => context.unknown(name),
        }
    }
}
impl ::transcode::serde::Serialize for Mover {
    fn serialize<S: ::transcode::serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::core::result::Result<S::Ok, S::Error> {
        use ::transcode::serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(
            "name",
            &::transcode::json::As::<::transcode::json::kind::Str>(&self.name),
        )?;
        map.end()
    }
}
impl<'de> ::transcode::serde::Deserialize<'de> for Mover {
    fn deserialize<D: ::transcode::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> ::core::result::Result<Self, D::Error> {
        ::transcode::json::deserialize(deserializer)
    }
}
impl ::transcode::validate::Validate for Mover {
    #[allow(unused_variables, clippy::cognitive_complexity, clippy::too_many_lines)]
    fn validate(&self, violations: &mut ::transcode::Violations) {
        violations
            .field(
                "name",
                |violations| {
                    let value = &self.name;
                    if !::transcode::validate::length_between(value, 0, 40) {
                        violations.add("Must be at most 40 characters long");
                    }
                },
            );
    }
    #[allow(unused_variables)]
    fn path(path: &str) -> ::transcode::validate::MaskPath {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match name {
            "name" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "name" => ::transcode::validate::MaskPath::Unknown,
            _ => ::transcode::validate::MaskPath::Unknown,
        }
    }
}
impl ::transcode::json::Message for Shelf {
    fn field(name: &str) -> ::core::option::Option<&'static ::transcode::json::Field> {
        static FIELDS: [::transcode::json::Field; 7usize] = [
            ::transcode::json::Field::new(0u16, "name", "name", true),
            ::transcode::json::Field::new(1u16, "width", "width", true),
            ::transcode::json::Field::new(2u16, "material", "material", true),
            ::transcode::json::Field::new(3u16, "labels", "labels", true),
            ::transcode::json::Field::new(4u16, "inner", "inner", false),
            ::transcode::json::Field::new(5u16, "room", "room", true),
            ::transcode::json::Field::new(6u16, "floor", "floor", true),
        ];
        match name {
            "name" => Some(&FIELDS[0usize]),
            "width" => Some(&FIELDS[1usize]),
            "material" => Some(&FIELDS[2usize]),
            "labels" => Some(&FIELDS[3usize]),
            "inner" => Some(&FIELDS[4usize]),
            "room" => Some(&FIELDS[5usize]),
            "floor" => Some(&FIELDS[6usize]),
            _ => None,
        }
    }
    fn decode_field<'de, D: ::transcode::serde::Deserializer<'de>>(
        &mut self,
        index: u16,
        deserializer: D,
        context: &mut ::transcode::json::Context,
    ) -> ::core::result::Result<(), D::Error> {
        match index {
            0u16 => {
                ::transcode::json::singular::<
                    ::transcode::json::kind::Str,
                    _,
                >(&mut self.name, deserializer, context)
            }
            1u16 => {
                ::transcode::json::singular::<
                    ::transcode::json::kind::Decimal<2u32>,
                    _,
                >(&mut self.width, deserializer, context)
            }
            2u16 => {
                ::transcode::json::singular::<
                    ::transcode::json::kind::Enum<Material>,
                    _,
                >(&mut self.material, deserializer, context)
            }
            3u16 => {
                ::transcode::json::append::<
                    ::transcode::json::kind::Map<
                        ::transcode::json::kind::Str,
                        ::transcode::json::kind::Str,
                    >,
                    _,
                >(&mut self.labels, deserializer, context)
            }
            4u16 => {
                ::transcode::json::boxed::<
                    ::transcode::json::kind::Message<Shelf>,
                    _,
                >(&mut self.inner, deserializer, context)
            }
            5u16 => {
                ::transcode::json::oneof::<
                    ::transcode::json::kind::Str,
                    _,
                    _,
                >(
                    &mut self.place,
                    shelf::Place::Room,
                    "room, floor",
                    deserializer,
                    context,
                )
            }
            6u16 => {
                ::transcode::json::oneof::<
                    ::transcode::json::kind::Int32,
                    _,
                    _,
                >(
                    &mut self.place,
                    shelf::Place::Floor,
                    "room, floor",
                    deserializer,
                    context,
                )
            }
            _ => ::transcode::json::skip(deserializer, context),
        }
    }
}
impl ::transcode::json::Binder for Shelf {
    #[allow(unused_variables)]
    fn bind(
        &mut self,
        path: &str,
        text: &str,
        context: &mut ::transcode::json::Context,
    ) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let _ = (rest, text);
        match name {
            "name" => {
                context
                    .at(
                        "name",
                        |context| ::transcode::json::bind_singular::<
                            ::transcode::json::kind::Str,
                        >(rest, text, context, |value| self.name = value),
                    )
            }
            "width" => {
                context
                    .at(
                        "width",
                        |context| ::transcode::json::bind_singular::<
                            ::transcode::json::kind::Decimal<2u32>,
                        >(rest, text, context, |value| self.width = value),
                    )
            }
            "material" => {
                context
                    .at(
                        "material",
                        |context| ::transcode::json::bind_singular::<
                            ::transcode::json::kind::Enum<Material>,
                        >(rest, text, context, |value| self.material = value),
                    )
            }
            "labels" => {
                context
                    .at(
                        "labels",
                        |context| context.violations.add("Can't be given as text"),
                    )
            }
            "inner" => {
                context
                    .at(
                        "inner",
                        |context| ::transcode::json::bind_message(
                            &mut **self.inner.get_or_insert_default(),
                            rest,
                            text,
                            context,
                        ),
                    )
            }
            "room" => {
                context
                    .at(
                        "room",
                        |context| ::transcode::json::bind_oneof::<
                            ::transcode::json::kind::Str,
                            _,
                        >(
                            &mut self.place,
                            shelf::Place::Room,
                            "room, floor",
                            rest,
                            text,
                            context,
                        ),
                    )
            }
            "floor" => {
                context
                    .at(
                        "floor",
                        |context| ::transcode::json::bind_oneof::<
                            ::transcode::json::kind::Int32,
                            _,
                        >(
                            &mut self.place,
                            shelf::Place::Floor,
                            "room, floor",
                            rest,
                            text,
                            context,
                        ),
                    )
            }
            _ => context.unknown(name),
        }
    }
}
impl ::transcode::serde::Serialize for Shelf {
    fn serialize<S: ::transcode::serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::core::result::Result<S::Ok, S::Error> {
        use ::transcode::serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(
            "name",
            &::transcode::json::As::<::transcode::json::kind::Str>(&self.name),
        )?;
        map.serialize_entry(
            "width",
            &::transcode::json::As::<::transcode::json::kind::Decimal<2u32>>(&self.width),
        )?;
        map.serialize_entry(
            "material",
            &::transcode::json::As::<
                ::transcode::json::kind::Enum<Material>,
            >(&self.material),
        )?;
        map.serialize_entry(
            "labels",
            &::transcode::json::As::<
                ::transcode::json::kind::Map<
                    ::transcode::json::kind::Str,
                    ::transcode::json::kind::Str,
                >,
            >(&self.labels),
        )?;
        if let Some(value) = &self.inner {
            map.serialize_entry(
                "inner",
                &::transcode::json::As::<::transcode::json::kind::Message<Shelf>>(value),
            )?;
        }
        match &self.place {
            Some(shelf::Place::Room(value)) => {
                map.serialize_entry(
                    "room",
                    &::transcode::json::As::<::transcode::json::kind::Str>(value),
                )?;
            }
            Some(shelf::Place::Floor(value)) => {
                map.serialize_entry(
                    "floor",
                    &::transcode::json::As::<::transcode::json::kind::Int32>(value),
                )?;
            }
            None => {}
        }
        map.end()
    }
}
impl<'de> ::transcode::serde::Deserialize<'de> for Shelf {
    fn deserialize<D: ::transcode::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> ::core::result::Result<Self, D::Error> {
        ::transcode::json::deserialize(deserializer)
    }
}
impl ::transcode::validate::Validate for Shelf {
    #[allow(unused_variables, clippy::cognitive_complexity, clippy::too_many_lines)]
    fn validate(&self, violations: &mut ::transcode::Violations) {
        violations
            .field(
                "name",
                |violations| {
                    let value = &self.name;
                    {
                        static PATTERN: ::transcode::validate::Pattern = ::transcode::validate::Pattern::new(||
                        ::transcode::validate::pattern("^shelves/[a-z]+$"));
                        if !PATTERN.is_match(value) {
                            violations.add("Must match ^shelves/[a-z]+$");
                        }
                    }
                },
            );
        violations
            .field(
                "width",
                |violations| {
                    let value = &self.width;
                    if !::transcode::validate::is_decimal(value, 3, 2) {
                        violations
                            .add(
                                "Must be a decimal of at least 0, with at most 3 digits before the point and 2 after it",
                            );
                    }
                },
            );
        violations
            .field(
                "material",
                |violations| {
                    let value = &self.material;
                    if <Material as ::transcode::json::Enum>::name(*value).is_none() {
                        violations.add("Must be one of: wood");
                    }
                },
            );
        violations
            .field(
                "labels",
                |violations| {
                    if self.labels.len() > 9 {
                        violations.add("Must have at most 9 entries");
                    }
                },
            );
        violations
            .field(
                "inner",
                |violations| {
                    if let Some(value) = &self.inner {
                        ::transcode::validate::Validate::validate(value, violations);
                    }
                },
            );
        violations
            .field(
                "floor",
                |violations| {
                    if let Some(shelf::Place::Floor(value)) = &self.place {
                        if !(*value >= -2 as _) {
                            violations.add("Must be at least -2");
                        }
                    }
                },
            );
        if self.place.is_none() {
            violations
                .field(
                    "place",
                    |violations| violations.add("One of room, floor is required"),
                );
        }
    }
    #[allow(unused_variables)]
    fn path(path: &str) -> ::transcode::validate::MaskPath {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match name {
            "name" if rest.is_empty() => ::transcode::validate::MaskPath::ReadOnly,
            "name" => ::transcode::validate::MaskPath::Unknown,
            "width" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "width" => ::transcode::validate::MaskPath::Unknown,
            "material" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "material" => ::transcode::validate::MaskPath::Unknown,
            "labels" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "labels" => ::transcode::validate::MaskPath::Unknown,
            "inner" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "inner" => <Shelf as ::transcode::validate::Validate>::path(rest),
            "room" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "room" => ::transcode::validate::MaskPath::Unknown,
            "floor" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "floor" => ::transcode::validate::MaskPath::Unknown,
            _ => ::transcode::validate::MaskPath::Unknown,
        }
    }
}
impl ::transcode::json::Message for ShelfMovedEvent {
    fn field(name: &str) -> ::core::option::Option<&'static ::transcode::json::Field> {
        static FIELDS: [::transcode::json::Field; 3usize] = [
            ::transcode::json::Field::new(0u16, "time", "time", true),
            ::transcode::json::Field::new(1u16, "shelf", "shelf", false),
            ::transcode::json::Field::new(2u16, "mover", "mover", false),
        ];
        match name {
            "time" => Some(&FIELDS[0usize]),
            "shelf" => Some(&FIELDS[1usize]),
            "mover" => Some(&FIELDS[2usize]),
            _ => None,
        }
    }
    fn decode_field<'de, D: ::transcode::serde::Deserializer<'de>>(
        &mut self,
        index: u16,
        deserializer: D,
        context: &mut ::transcode::json::Context,
    ) -> ::core::result::Result<(), D::Error> {
        match index {
            0u16 => {
                ::transcode::json::optional::<
                    ::transcode::json::kind::Timestamp,
                    _,
                >(&mut self.time, deserializer, context)
            }
            1u16 => {
                ::transcode::json::optional::<
                    ::transcode::json::kind::Message<Shelf>,
                    _,
                >(&mut self.shelf, deserializer, context)
            }
            2u16 => {
                ::transcode::json::optional::<
                    ::transcode::json::kind::Message<Mover>,
                    _,
                >(&mut self.mover, deserializer, context)
            }
            _ => ::transcode::json::skip(deserializer, context),
        }
    }
}
impl ::transcode::json::Binder for ShelfMovedEvent {
    #[allow(unused_variables)]
    fn bind(
        &mut self,
        path: &str,
        text: &str,
        context: &mut ::transcode::json::Context,
    ) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let _ = (rest, text);
        match name {
            "time" => {
                context
                    .at(
                        "time",
                        |context| ::transcode::json::bind_singular::<
                            ::transcode::json::kind::Timestamp,
                        >(rest, text, context, |value| self.time = Some(value)),
                    )
            }
            "shelf" => {
                context
                    .at(
                        "shelf",
                        |context| ::transcode::json::bind_message(
                            self.shelf.get_or_insert_default(),
                            rest,
                            text,
                            context,
                        ),
                    )
            }
            "mover" => {
                context
                    .at(
                        "mover",
                        |context| ::transcode::json::bind_message(
                            self.mover.get_or_insert_default(),
                            rest,
                            text,
                            context,
                        ),
                    )
            }
            _ => context.unknown(name),
        }
    }
}
impl ::transcode::serde::Serialize for ShelfMovedEvent {
    fn serialize<S: ::transcode::serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::core::result::Result<S::Ok, S::Error> {
        use ::transcode::serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        if let Some(value) = &self.time {
            map.serialize_entry(
                "time",
                &::transcode::json::As::<::transcode::json::kind::Timestamp>(value),
            )?;
        }
        if let Some(value) = &self.shelf {
            map.serialize_entry(
                "shelf",
                &::transcode::json::As::<::transcode::json::kind::Message<Shelf>>(value),
            )?;
        }
        if let Some(value) = &self.mover {
            map.serialize_entry(
                "mover",
                &::transcode::json::As::<::transcode::json::kind::Message<Mover>>(value),
            )?;
        }
        map.end()
    }
}
impl<'de> ::transcode::serde::Deserialize<'de> for ShelfMovedEvent {
    fn deserialize<D: ::transcode::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> ::core::result::Result<Self, D::Error> {
        ::transcode::json::deserialize(deserializer)
    }
}
impl ::transcode::validate::Validate for ShelfMovedEvent {
    #[allow(unused_variables, clippy::cognitive_complexity, clippy::too_many_lines)]
    fn validate(&self, violations: &mut ::transcode::Violations) {
        violations
            .field(
                "shelf",
                |violations| {
                    if let Some(value) = &self.shelf {
                        ::transcode::validate::Validate::validate(value, violations);
                    }
                },
            );
        violations
            .field(
                "mover",
                |violations| {
                    if let Some(value) = &self.mover {
                        ::transcode::validate::Validate::validate(value, violations);
                    }
                },
            );
    }
    #[allow(unused_variables)]
    fn path(path: &str) -> ::transcode::validate::MaskPath {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match name {
            "time" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "time" => ::transcode::validate::MaskPath::Unknown,
            "shelf" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "shelf" => <Shelf as ::transcode::validate::Validate>::path(rest),
            "mover" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "mover" => <Mover as ::transcode::validate::Validate>::path(rest),
            _ => ::transcode::validate::MaskPath::Unknown,
        }
    }
}
impl ::transcode::json::Message for UpdateShelfRequest {
    fn field(name: &str) -> ::core::option::Option<&'static ::transcode::json::Field> {
        static FIELDS: [::transcode::json::Field; 2usize] = [
            ::transcode::json::Field::new(0u16, "shelf", "shelf", false),
            ::transcode::json::Field::new(1u16, "updateMask", "update_mask", true),
        ];
        match name {
            "shelf" => Some(&FIELDS[0usize]),
            "updateMask" | "update_mask" => Some(&FIELDS[1usize]),
            _ => None,
        }
    }
    fn decode_field<'de, D: ::transcode::serde::Deserializer<'de>>(
        &mut self,
        index: u16,
        deserializer: D,
        context: &mut ::transcode::json::Context,
    ) -> ::core::result::Result<(), D::Error> {
        match index {
            0u16 => {
                ::transcode::json::optional::<
                    ::transcode::json::kind::Message<Shelf>,
                    _,
                >(&mut self.shelf, deserializer, context)
            }
            1u16 => {
                ::transcode::json::optional::<
                    ::transcode::json::kind::FieldMask,
                    _,
                >(&mut self.update_mask, deserializer, context)
            }
            _ => ::transcode::json::skip(deserializer, context),
        }
    }
}
impl ::transcode::json::Binder for UpdateShelfRequest {
    #[allow(unused_variables)]
    fn bind(
        &mut self,
        path: &str,
        text: &str,
        context: &mut ::transcode::json::Context,
    ) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let _ = (rest, text);
        match name {
            "shelf" => {
                context
                    .at(
                        "shelf",
                        |context| ::transcode::json::bind_message(
                            self.shelf.get_or_insert_default(),
                            rest,
                            text,
                            context,
                        ),
                    )
            }
            "updateMask" | "update_mask" => {
                context
                    .at(
                        "updateMask",
                        |context| ::transcode::json::bind_singular::<
                            ::transcode::json::kind::FieldMask,
                        >(rest, text, context, |value| self.update_mask = Some(value)),
                    )
            }
            _ => context.unknown(name),
        }
    }
}
impl ::transcode::serde::Serialize for UpdateShelfRequest {
    fn serialize<S: ::transcode::serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::core::result::Result<S::Ok, S::Error> {
        use ::transcode::serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        if let Some(value) = &self.shelf {
            map.serialize_entry(
                "shelf",
                &::transcode::json::As::<::transcode::json::kind::Message<Shelf>>(value),
            )?;
        }
        if let Some(value) = &self.update_mask {
            map.serialize_entry(
                "updateMask",
                &::transcode::json::As::<::transcode::json::kind::FieldMask>(value),
            )?;
        }
        map.end()
    }
}
impl<'de> ::transcode::serde::Deserialize<'de> for UpdateShelfRequest {
    fn deserialize<D: ::transcode::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> ::core::result::Result<Self, D::Error> {
        ::transcode::json::deserialize(deserializer)
    }
}
impl ::transcode::validate::Validate for UpdateShelfRequest {
    #[allow(unused_variables, clippy::cognitive_complexity, clippy::too_many_lines)]
    fn validate(&self, violations: &mut ::transcode::Violations) {
        violations
            .field(
                "shelf",
                |violations| {
                    if let Some(value) = &self.shelf {
                        ::transcode::validate::Validate::validate(value, violations);
                    } else {
                        violations.add("Is required");
                    }
                },
            );
        if let Some(mask) = &self.update_mask {
            ::transcode::validate::check_mask::<Shelf>(violations, "shelf", mask);
        }
    }
    #[allow(unused_variables)]
    fn path(path: &str) -> ::transcode::validate::MaskPath {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match name {
            "shelf" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "shelf" => <Shelf as ::transcode::validate::Validate>::path(rest),
            "updateMask" | "update_mask" if rest.is_empty() => {
                ::transcode::validate::MaskPath::Writable
            }
            "updateMask" | "update_mask" => ::transcode::validate::MaskPath::Unknown,
            _ => ::transcode::validate::MaskPath::Unknown,
        }
    }
}
impl ::transcode::json::Message for WatchShelvesRequest {
    fn field(name: &str) -> ::core::option::Option<&'static ::transcode::json::Field> {
        static FIELDS: [::transcode::json::Field; 1usize] = [
            ::transcode::json::Field::new(0u16, "after", "after", true),
        ];
        match name {
            "after" => Some(&FIELDS[0usize]),
            _ => None,
        }
    }
    fn decode_field<'de, D: ::transcode::serde::Deserializer<'de>>(
        &mut self,
        index: u16,
        deserializer: D,
        context: &mut ::transcode::json::Context,
    ) -> ::core::result::Result<(), D::Error> {
        match index {
            0u16 => {
                ::transcode::json::optional::<
                    ::transcode::json::kind::Str,
                    _,
                >(&mut self.after, deserializer, context)
            }
            _ => ::transcode::json::skip(deserializer, context),
        }
    }
}
impl ::transcode::json::Binder for WatchShelvesRequest {
    #[allow(unused_variables)]
    fn bind(
        &mut self,
        path: &str,
        text: &str,
        context: &mut ::transcode::json::Context,
    ) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let _ = (rest, text);
        match name {
            "after" => {
                context
                    .at(
                        "after",
                        |context| ::transcode::json::bind_singular::<
                            ::transcode::json::kind::Str,
                        >(rest, text, context, |value| self.after = Some(value)),
                    )
            }
            _ => context.unknown(name),
        }
    }
}
impl ::transcode::serde::Serialize for WatchShelvesRequest {
    fn serialize<S: ::transcode::serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::core::result::Result<S::Ok, S::Error> {
        use ::transcode::serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        if let Some(value) = &self.after {
            map.serialize_entry(
                "after",
                &::transcode::json::As::<::transcode::json::kind::Str>(value),
            )?;
        }
        map.end()
    }
}
impl<'de> ::transcode::serde::Deserialize<'de> for WatchShelvesRequest {
    fn deserialize<D: ::transcode::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> ::core::result::Result<Self, D::Error> {
        ::transcode::json::deserialize(deserializer)
    }
}
impl ::transcode::validate::Validate for WatchShelvesRequest {
    #[allow(unused_variables, clippy::cognitive_complexity, clippy::too_many_lines)]
    fn validate(&self, violations: &mut ::transcode::Violations) {
        violations
            .field(
                "after",
                |violations| {
                    if let Some(value) = &self.after {
                        if !::transcode::validate::length_between(value, 0, 100) {
                            violations.add("Must be at most 100 characters long");
                        }
                    }
                },
            );
    }
    #[allow(unused_variables)]
    fn path(path: &str) -> ::transcode::validate::MaskPath {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match name {
            "after" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "after" => ::transcode::validate::MaskPath::Unknown,
            _ => ::transcode::validate::MaskPath::Unknown,
        }
    }
}
impl ::transcode::json::Message for WatchShelvesResponse {
    fn field(name: &str) -> ::core::option::Option<&'static ::transcode::json::Field> {
        static FIELDS: [::transcode::json::Field; 2usize] = [
            ::transcode::json::Field::new(0u16, "shelf", "shelf", false),
            ::transcode::json::Field::new(1u16, "token", "token", true),
        ];
        match name {
            "shelf" => Some(&FIELDS[0usize]),
            "token" => Some(&FIELDS[1usize]),
            _ => None,
        }
    }
    fn decode_field<'de, D: ::transcode::serde::Deserializer<'de>>(
        &mut self,
        index: u16,
        deserializer: D,
        context: &mut ::transcode::json::Context,
    ) -> ::core::result::Result<(), D::Error> {
        match index {
            0u16 => {
                ::transcode::json::optional::<
                    ::transcode::json::kind::Message<Shelf>,
                    _,
                >(&mut self.shelf, deserializer, context)
            }
            1u16 => {
                ::transcode::json::singular::<
                    ::transcode::json::kind::Str,
                    _,
                >(&mut self.token, deserializer, context)
            }
            _ => ::transcode::json::skip(deserializer, context),
        }
    }
}
impl ::transcode::json::Binder for WatchShelvesResponse {
    #[allow(unused_variables)]
    fn bind(
        &mut self,
        path: &str,
        text: &str,
        context: &mut ::transcode::json::Context,
    ) {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let _ = (rest, text);
        match name {
            "shelf" => {
                context
                    .at(
                        "shelf",
                        |context| ::transcode::json::bind_message(
                            self.shelf.get_or_insert_default(),
                            rest,
                            text,
                            context,
                        ),
                    )
            }
            "token" => {
                context
                    .at(
                        "token",
                        |context| ::transcode::json::bind_singular::<
                            ::transcode::json::kind::Str,
                        >(rest, text, context, |value| self.token = value),
                    )
            }
            _ => context.unknown(name),
        }
    }
}
impl ::transcode::serde::Serialize for WatchShelvesResponse {
    fn serialize<S: ::transcode::serde::Serializer>(
        &self,
        serializer: S,
    ) -> ::core::result::Result<S::Ok, S::Error> {
        use ::transcode::serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        if let Some(value) = &self.shelf {
            map.serialize_entry(
                "shelf",
                &::transcode::json::As::<::transcode::json::kind::Message<Shelf>>(value),
            )?;
        }
        map.serialize_entry(
            "token",
            &::transcode::json::As::<::transcode::json::kind::Str>(&self.token),
        )?;
        map.end()
    }
}
impl<'de> ::transcode::serde::Deserialize<'de> for WatchShelvesResponse {
    fn deserialize<D: ::transcode::serde::Deserializer<'de>>(
        deserializer: D,
    ) -> ::core::result::Result<Self, D::Error> {
        ::transcode::json::deserialize(deserializer)
    }
}
impl ::transcode::validate::Validate for WatchShelvesResponse {
    #[allow(unused_variables, clippy::cognitive_complexity, clippy::too_many_lines)]
    fn validate(&self, violations: &mut ::transcode::Violations) {
        violations
            .field(
                "shelf",
                |violations| {
                    if let Some(value) = &self.shelf {
                        ::transcode::validate::Validate::validate(value, violations);
                    }
                },
            );
    }
    #[allow(unused_variables)]
    fn path(path: &str) -> ::transcode::validate::MaskPath {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match name {
            "shelf" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "shelf" => <Shelf as ::transcode::validate::Validate>::path(rest),
            "token" if rest.is_empty() => ::transcode::validate::MaskPath::Writable,
            "token" => ::transcode::validate::MaskPath::Unknown,
            _ => ::transcode::validate::MaskPath::Unknown,
        }
    }
}
impl ::transcode::Event for ShelfMovedEvent {
    const SPEC: ::transcode::EventSpec = ::transcode::EventSpec {
        message: "golden.v1.ShelfMovedEvent",
        event_type: "ShelfMoved",
        version: "2.1",
        topic: "shelves.shelf.moved",
        direction: ::transcode::Direction::Published,
        dead_letter_topic: None,
    };
}
impl ::transcode::Event for BookShelvedEvent {
    const SPEC: ::transcode::EventSpec = ::transcode::EventSpec {
        message: "golden.v1.BookShelvedEvent",
        event_type: "BookShelved",
        version: "1.0",
        topic: "books.book.shelved",
        direction: ::transcode::Direction::Subscribed,
        dead_letter_topic: Some("books.book.shelved.dead"),
    };
}
/// The events of the package: the published ones first, each by name.
pub static EVENTS: &[::transcode::EventSpec] = &[
    <ShelfMovedEvent as ::transcode::Event>::SPEC,
    <BookShelvedEvent as ::transcode::Event>::SPEC,
];
///What the contract says about the RPCs of Shelves.
pub mod shelves {
    ///`golden.v1.Shelves/UpdateShelf`.
    pub static UPDATE_SHELF: ::transcode::MethodSpec = ::transcode::MethodSpec {
        service: "golden.v1.Shelves",
        name: "UpdateShelf",
        path: "/golden.v1.Shelves/UpdateShelf",
        client_streaming: false,
        server_streaming: false,
        scopes: &["shelves:write"],
        public: false,
        rate_class: ::transcode::RateClass::Default,
        audit: false,
        idempotency: ::transcode::Idempotency::Unknown,
        idempotency_key: true,
        max_request_bytes: None,
        success_status: 200u16,
        cache_control: "no-store",
        envelope: Some("2.0"),
        reasons: &::transcode::ReasonTable::CANONICAL,
    };
    ///`golden.v1.Shelves/WatchShelves`.
    pub static WATCH_SHELVES: ::transcode::MethodSpec = ::transcode::MethodSpec {
        service: "golden.v1.Shelves",
        name: "WatchShelves",
        path: "/golden.v1.Shelves/WatchShelves",
        client_streaming: false,
        server_streaming: true,
        scopes: &["shelves:read"],
        public: false,
        rate_class: ::transcode::RateClass::Default,
        audit: false,
        idempotency: ::transcode::Idempotency::Unknown,
        idempotency_key: false,
        max_request_bytes: None,
        success_status: 200u16,
        cache_control: "no-store",
        envelope: Some("2.0"),
        reasons: &::transcode::ReasonTable::CANONICAL,
    };
    ///`golden.v1.Shelves/ExportShelves`.
    pub static EXPORT_SHELVES: ::transcode::MethodSpec = ::transcode::MethodSpec {
        service: "golden.v1.Shelves",
        name: "ExportShelves",
        path: "/golden.v1.Shelves/ExportShelves",
        client_streaming: false,
        server_streaming: true,
        scopes: &["shelves:read"],
        public: false,
        rate_class: ::transcode::RateClass::Default,
        audit: false,
        idempotency: ::transcode::Idempotency::Unknown,
        idempotency_key: false,
        max_request_bytes: None,
        success_status: 200u16,
        cache_control: "no-store",
        envelope: Some("2.0"),
        reasons: &::transcode::ReasonTable::CANONICAL,
    };
    ///`golden.v1.Shelves/ImportShelves`.
    pub static IMPORT_SHELVES: ::transcode::MethodSpec = ::transcode::MethodSpec {
        service: "golden.v1.Shelves",
        name: "ImportShelves",
        path: "/golden.v1.Shelves/ImportShelves",
        client_streaming: true,
        server_streaming: false,
        scopes: &["shelves:write"],
        public: false,
        rate_class: ::transcode::RateClass::Default,
        audit: false,
        idempotency: ::transcode::Idempotency::Unknown,
        idempotency_key: false,
        max_request_bytes: Some(50000000),
        success_status: 200u16,
        cache_control: "no-store",
        envelope: Some("2.0"),
        reasons: &::transcode::ReasonTable::CANONICAL,
    };
    /// All of them.
    pub static METHODS: &[&::transcode::MethodSpec] = &[
        &UPDATE_SHELF,
        &WATCH_SHELVES,
        &EXPORT_SHELVES,
        &IMPORT_SHELVES,
    ];
}
fn update_shelf_resource(
    request: &UpdateShelfRequest,
) -> ::core::option::Option<&::core::primitive::str> {
    if let Some(resource) = Some(request)
        .and_then(|message| message.shelf.as_ref())
        .map(|message| message.name.as_str()) && !resource.is_empty()
    {
        return Some(resource);
    }
    None
}
fn watch_shelves_resource(
    _: &WatchShelvesRequest,
) -> ::core::option::Option<&::core::primitive::str> {
    None
}
fn export_shelves_resource(
    _: &WatchShelvesRequest,
) -> ::core::option::Option<&::core::primitive::str> {
    None
}
fn import_shelves_resource(
    _: &ImportShelvesRequest,
) -> ::core::option::Option<&::core::primitive::str> {
    None
}
///Shelves behind a policy, for gRPC, Connect and REST alike.
pub struct ShelvesStack<S, P> {
    service: ::std::sync::Arc<S>,
    policy: ::std::sync::Arc<P>,
}
impl<S, P> ShelvesStack<S, P> {
    /// Puts a policy in front of a service.
    pub fn new(service: ::std::sync::Arc<S>, policy: ::std::sync::Arc<P>) -> Self {
        Self { service, policy }
    }
}
impl<S, P> ::core::clone::Clone for ShelvesStack<S, P> {
    fn clone(&self) -> Self {
        Self::new(self.service.clone(), self.policy.clone())
    }
}
#[::transcode::tonic::async_trait]
impl<S: shelves_server::Shelves, P: ::transcode::policy::Policy> shelves_server::Shelves
for ShelvesStack<S, P> {
    async fn update_shelf(
        &self,
        request: ::transcode::tonic::Request<UpdateShelfRequest>,
    ) -> ::std::result::Result<
        ::transcode::tonic::Response<Shelf>,
        ::transcode::tonic::Status,
    > {
        ::transcode::policy::unary(
                &*self.policy,
                &shelves::UPDATE_SHELF,
                update_shelf_resource,
                request,
                |request| { self.service.update_shelf(request) },
            )
            .await
    }
    type WatchShelvesStream = ::transcode::policy::BoxStream<WatchShelvesResponse>;
    async fn watch_shelves(
        &self,
        request: ::transcode::tonic::Request<WatchShelvesRequest>,
    ) -> ::std::result::Result<
        ::transcode::tonic::Response<Self::WatchShelvesStream>,
        ::transcode::tonic::Status,
    > {
        ::transcode::policy::server_streaming(
                &*self.policy,
                &shelves::WATCH_SHELVES,
                watch_shelves_resource,
                request,
                |request| { self.service.watch_shelves(request) },
            )
            .await
    }
    type ExportShelvesStream = ::transcode::policy::BoxStream<
        super::super::google::api::HttpBody,
    >;
    async fn export_shelves(
        &self,
        request: ::transcode::tonic::Request<WatchShelvesRequest>,
    ) -> ::std::result::Result<
        ::transcode::tonic::Response<Self::ExportShelvesStream>,
        ::transcode::tonic::Status,
    > {
        ::transcode::policy::server_streaming(
                &*self.policy,
                &shelves::EXPORT_SHELVES,
                export_shelves_resource,
                request,
                |request| { self.service.export_shelves(request) },
            )
            .await
    }
    async fn import_shelves(
        &self,
        request: ::transcode::tonic::Request<
            ::transcode::tonic::Streaming<ImportShelvesRequest>,
        >,
    ) -> ::std::result::Result<
        ::transcode::tonic::Response<Shelf>,
        ::transcode::tonic::Status,
    > {
        ::transcode::policy::client_streaming(
                &self.policy,
                &shelves::IMPORT_SHELVES,
                import_shelves_resource,
                request,
                |request| { self.service.import_shelves(request) },
            )
            .await
    }
}
impl<
    S: shelves_server::Shelves,
    P: ::transcode::policy::Policy,
> ::transcode::rest::Service for ShelvesStack<S, P> {
    fn bindings(&self) -> &'static [::transcode::Binding] {
        use shelves::*;
        static BINDINGS: [::transcode::Binding; 4usize] = [
            ::transcode::Binding {
                method: "PATCH",
                template: "/v2/{shelf.name=shelves/*}",
                segments: &[
                    ::transcode::Segment::Literal("v2"),
                    ::transcode::Segment::Literal("shelves"),
                    ::transcode::Segment::Single,
                ],
                verb: None,
                variables: &[
                    ::transcode::Variable {
                        field: "shelf.name",
                        start: 1usize,
                        end: 3usize,
                    },
                ],
                body: ::transcode::Body::Field {
                    json_name: "shelf",
                    proto_name: "shelf",
                },
                spec: &UPDATE_SHELF,
            },
            ::transcode::Binding {
                method: "GET",
                template: "/v2/shelves:watch",
                segments: &[
                    ::transcode::Segment::Literal("v2"),
                    ::transcode::Segment::Literal("shelves"),
                ],
                verb: Some("watch"),
                variables: &[],
                body: ::transcode::Body::None,
                spec: &WATCH_SHELVES,
            },
            ::transcode::Binding {
                method: "GET",
                template: "/v2/shelves:export",
                segments: &[
                    ::transcode::Segment::Literal("v2"),
                    ::transcode::Segment::Literal("shelves"),
                ],
                verb: Some("export"),
                variables: &[],
                body: ::transcode::Body::None,
                spec: &EXPORT_SHELVES,
            },
            ::transcode::Binding {
                method: "POST",
                template: "/v2/shelves:import",
                segments: &[
                    ::transcode::Segment::Literal("v2"),
                    ::transcode::Segment::Literal("shelves"),
                ],
                verb: Some("import"),
                variables: &[],
                body: ::transcode::Body::Field {
                    json_name: "table",
                    proto_name: "table",
                },
                spec: &IMPORT_SHELVES,
            },
        ];
        &BINDINGS
    }
    fn call(
        &self,
        binding: usize,
        call: ::transcode::rest::Call,
    ) -> ::transcode::rest::BoxFuture<
        '_,
        ::transcode::http::Response<::transcode::rest::Body>,
    > {
        match binding {
            0usize => {
                const UNARY: ::transcode::rest::Unary<UpdateShelfRequest, Shelf> = ::transcode::rest::Unary {
                    input: ::transcode::rest::Input {
                        decode: ::transcode::rest::Decode::Json(|json, context| {
                            let mut request = <UpdateShelfRequest as ::core::default::Default>::default();
                            let body = ::transcode::json::field_from_slice::<
                                ::transcode::json::kind::Message<Shelf>,
                            >(json, ("shelf", "shelf"), context)?;
                            request.shelf = body;
                            Ok(request)
                        }),
                        decode_binary: Some(|bytes| {
                            let mut request = <UpdateShelfRequest as ::core::default::Default>::default();
                            let body = Some(::transcode::prost::Message::decode(bytes)?);
                            request.shelf = body;
                            Ok(request)
                        }),
                        given: |request, variable| match variable {
                            0usize => {
                                request
                                    .shelf
                                    .as_ref()
                                    .is_some_and(|value| !value.name.is_empty())
                            }
                            _ => false,
                        },
                        mask: Some(|request| &mut request.update_mask),
                        last_event_id: None,
                        resource: update_shelf_resource,
                        if_match: None,
                    },
                    encode: ::transcode::rest::Encode::Json(|answer, json| ::transcode::serde_json::to_writer(
                        json,
                        answer,
                    )),
                    binary: Some(::transcode::prost::Message::encode_to_vec),
                    whole: false,
                    location: Some(|answer| {
                        let mut location = ::std::string::String::new();
                        location.push_str("/v2/");
                        location
                            .push_str(&::transcode::rest::escape_segment(&answer.name));
                        Some(location)
                    }),
                    links: None,
                    etag: None,
                };
                ::std::boxed::Box::pin(
                    call
                        .unary(
                            &*self.policy,
                            &UNARY,
                            |request| self.service.update_shelf(request),
                        ),
                )
            }
            1usize => {
                const STREAMING: ::transcode::rest::Streaming<
                    WatchShelvesRequest,
                    WatchShelvesResponse,
                > = ::transcode::rest::Streaming {
                    input: ::transcode::rest::Input {
                        decode: ::transcode::rest::Decode::Nothing,
                        decode_binary: None,
                        given: |_, _| false,
                        mask: None,
                        last_event_id: Some(|request, id| request.after = Some(id)),
                        resource: watch_shelves_resource,
                        if_match: None,
                    },
                    encode: ::transcode::rest::Encode::Json(|answer, json| ::transcode::serde_json::to_writer(
                        json,
                        answer,
                    )),
                    binary: Some(::transcode::prost::Message::encode_to_vec),
                    id: Some(|message| &message.token),
                };
                let service = self.service.clone();
                let policy = self.policy.clone();
                ::std::boxed::Box::pin(
                    call
                        .server_streaming(
                            policy,
                            &STREAMING,
                            move |request| async move {
                                service.watch_shelves(request).await
                            },
                        ),
                )
            }
            2usize => {
                const STREAMING: ::transcode::rest::Streaming<
                    WatchShelvesRequest,
                    super::super::google::api::HttpBody,
                > = ::transcode::rest::Streaming {
                    input: ::transcode::rest::Input {
                        decode: ::transcode::rest::Decode::Nothing,
                        decode_binary: None,
                        given: |_, _| false,
                        mask: None,
                        last_event_id: None,
                        resource: export_shelves_resource,
                        if_match: None,
                    },
                    encode: ::transcode::rest::Encode::Raw(|answer| {
                        let body = ::core::mem::take(answer);
                        ::transcode::rest::RawBody {
                            content_type: body.content_type,
                            data: body.data.into(),
                        }
                    }),
                    binary: None,
                    id: None,
                };
                let service = self.service.clone();
                let policy = self.policy.clone();
                ::std::boxed::Box::pin(
                    call
                        .server_streaming(
                            policy,
                            &STREAMING,
                            move |request| async move {
                                service.export_shelves(request).await
                            },
                        ),
                )
            }
            3usize => {
                const UNARY: ::transcode::rest::Unary<ImportShelvesRequest, Shelf> = ::transcode::rest::Unary {
                    input: ::transcode::rest::Input {
                        decode: ::transcode::rest::Decode::Raw(|body| {
                            let mut request = <ImportShelvesRequest as ::core::default::Default>::default();
                            let body = Some(super::super::google::api::HttpBody {
                                content_type: body.content_type,
                                data: body.data.into(),
                                ..::core::default::Default::default()
                            });
                            request.table = body;
                            request
                        }),
                        decode_binary: None,
                        given: |_, _| false,
                        mask: None,
                        last_event_id: None,
                        resource: import_shelves_resource,
                        if_match: None,
                    },
                    encode: ::transcode::rest::Encode::Json(|answer, json| ::transcode::serde_json::to_writer(
                        json,
                        answer,
                    )),
                    binary: Some(::transcode::prost::Message::encode_to_vec),
                    whole: true,
                    location: None,
                    links: None,
                    etag: None,
                };
                let service = self.service.clone();
                let policy = self.policy.clone();
                ::std::boxed::Box::pin(
                    call
                        .client_streaming(
                            policy,
                            &UNARY,
                            move |request| async move {
                                service.import_shelves(request).await
                            },
                        ),
                )
            }
            _ => ::std::boxed::Box::pin(::core::future::ready(call.not_found())),
        }
    }
    fn methods(&self) -> &'static [&'static ::transcode::MethodSpec] {
        shelves::METHODS
    }
    fn connect(
        &self,
        method: usize,
        call: ::transcode::connect::Call,
    ) -> ::transcode::rest::BoxFuture<
        '_,
        ::transcode::http::Response<::transcode::rest::Body>,
    > {
        match method {
            0usize => {
                ::std::boxed::Box::pin(
                    call
                        .unary(
                            &self.policy,
                            &::transcode::connect::Json {
                                read: ::transcode::json::from_slice,
                                write: |answer, json| ::transcode::json::write_canonical(
                                    answer,
                                    json,
                                ),
                            },
                            update_shelf_resource,
                            |request| { self.service.update_shelf(request) },
                        ),
                )
            }
            1usize => {
                ::std::boxed::Box::pin(
                    call
                        .server_streaming(
                            &self.policy,
                            &::transcode::connect::Json {
                                read: ::transcode::json::from_slice,
                                write: |answer, json| ::transcode::json::write_canonical(
                                    answer,
                                    json,
                                ),
                            },
                            watch_shelves_resource,
                            |request| { self.service.watch_shelves(request) },
                        ),
                )
            }
            2usize => {
                ::std::boxed::Box::pin(
                    call
                        .server_streaming(
                            &self.policy,
                            &::transcode::connect::Json {
                                read: ::transcode::json::from_slice,
                                write: |answer, json| ::transcode::json::write_canonical(
                                    answer,
                                    json,
                                ),
                            },
                            export_shelves_resource,
                            |request| { self.service.export_shelves(request) },
                        ),
                )
            }
            3usize => {
                ::std::boxed::Box::pin(
                    call
                        .client_streaming(
                            &self.policy,
                            &::transcode::connect::Json {
                                read: ::transcode::json::from_slice,
                                write: |answer, json| ::transcode::json::write_canonical(
                                    answer,
                                    json,
                                ),
                            },
                            import_shelves_resource,
                            |request| { self.service.import_shelves(request) },
                        ),
                )
            }
            _ => ::std::boxed::Box::pin(::core::future::ready(call.not_found())),
        }
    }
}
