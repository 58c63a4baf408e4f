//! From files to the intermediate representation: parsing, reading options, checking.

mod checks;
mod cycles;
mod docs;
mod events;
mod parts;
mod services;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor, MethodDescriptor, OneofDescriptor,
};
use prost_types::FileDescriptorProto;
use protox::Compiler;
use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};

use cycles::Cycles;
use docs::Docs;
use parts::Parts;
use types::{field_type, scalar, well_known};

use crate::Choices;
use crate::error::{Error, Place};
use crate::ir::{Api, Enum, EnumValue, Field, Message, Oneof, Scalar, Shape, Type, WellKnown};
use crate::options::{self, FieldOptions, FileOptions, OneofRules, extension, field_behavior};

/// The proto files that the transcoder brings along.
const BUNDLED: &[(&str, &str)] = &[
    (
        "buf/validate/validate.proto",
        include_str!("../proto/buf/validate/validate.proto"),
    ),
    (
        "google/api/annotations.proto",
        include_str!("../proto/google/api/annotations.proto"),
    ),
    (
        "google/api/field_behavior.proto",
        include_str!("../proto/google/api/field_behavior.proto"),
    ),
    (
        "google/api/http.proto",
        include_str!("../proto/google/api/http.proto"),
    ),
    (
        HTTP_BODY_FILE,
        include_str!("../proto/google/api/httpbody.proto"),
    ),
    (
        "transcode/v1/annotations.proto",
        include_str!("../proto/transcode/v1/annotations.proto"),
    ),
];

/// The package of the well-known types.
pub const WELL_KNOWN_PACKAGE: &str = "google.protobuf";

/// The one of them that is no option: what imports it has its message, which prost-types does not have.
const HTTP_BODY_FILE: &str = "google/api/httpbody.proto";

/// A parsed contract.
pub struct Contract {
    /// Encoded descriptor set, with imports and options.
    pub descriptor_set: Vec<u8>,
    /// The files the caller named, without bundled ones that are of options only.
    pub files: Vec<FileDescriptor>,
    /// The files of `google.protobuf` they import.
    pub well_known: Vec<FileDescriptor>,
    /// The names of those of them whose services are served.
    served: BTreeSet<String>,
    /// Their representation.
    pub api: Api,
}

impl Contract {
    /// A file as the generators of messages and stubs see it.
    pub fn generated(&self, file: &FileDescriptor) -> FileDescriptorProto {
        let mut proto = file.file_descriptor_proto().clone();
        if !self.served.contains(file.name()) {
            proto.service.clear();
        }
        proto
    }
}

struct Bundled;

impl FileResolver for Bundled {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match BUNDLED.iter().find(|(bundled, _)| *bundled == name) {
            Some((name, source)) => File::from_source(name, source),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Parses and checks a contract.
pub fn load(includes: &[PathBuf], files: &[PathBuf], choices: &Choices) -> Result<Contract, Error> {
    let mut resolver = ChainFileResolver::new();
    // First of all: prost-types has the messages of these, and folders of protos often have copies, older or newer.
    resolver.add(GoogleFileResolver::new());
    for include in includes {
        resolver.add(IncludeFileResolver::new(include.clone()));
    }
    resolver.add(Bundled);
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_source_info(true).include_imports(true);
    let mut served = BTreeSet::new();
    for file in files {
        let name = relative(includes, file);
        compiler.open_file(name)?;
        served.insert(name.to_string_lossy().replace('\\', "/"));
    }
    let pool = compiler.descriptor_pool();
    let Parts { named, well_known } = parts::divide(&pool, &served);
    let loader = Loader {
        pool: &pool,
        docs: Docs::new(&named),
        cycles: Cycles::new(&pool),
        choices,
    };
    let api = loader.api(&named, &served)?;
    Ok(Contract {
        descriptor_set: compiler.encode_file_descriptor_set(),
        files: named,
        well_known,
        served,
        api,
    })
}

/// A file as imports name it.
fn relative<'a>(includes: &[PathBuf], file: &'a Path) -> &'a Path {
    includes
        .iter()
        .find_map(|include| file.strip_prefix(include).ok())
        .unwrap_or(file)
}

struct Loader<'a> {
    pool: &'a DescriptorPool,
    docs: Docs,
    cycles: Cycles,
    choices: &'a Choices,
}

impl Loader<'_> {
    fn api(&self, files: &[FileDescriptor], served: &BTreeSet<String>) -> Result<Api, Error> {
        let mut api = Api {
            info: FileOptions::default(),
            services: Vec::new(),
            messages: BTreeMap::new(),
            enums: BTreeMap::new(),
            omit_defaults: false,
            omit_websockets: false,
        };
        for file in files {
            if let Some(info) =
                extension::<FileOptions>(self.pool, &file.options(), "transcode.v1.file")
                && api.info == FileOptions::default()
            {
                api.info = info;
            }
            for message in file.messages() {
                self.message(&mut api, &message)?;
            }
            for descriptor in file.enums() {
                self.add_enum(&mut api, &descriptor);
            }
        }
        checks::messages(&api, self.pool)?;
        events::check(&api, self.pool)?;
        self.grpc_only(files, served)?;
        let files = || files.iter().filter(|file| served.contains(file.name()));
        for service in files().flat_map(FileDescriptor::services) {
            for method in service.methods() {
                well_known_messages(&mut api, &method);
            }
        }
        for file in files() {
            for service in file.services() {
                let service = self.service(&api, &service)?;
                api.services.push(service);
            }
        }
        checks::routes(&api, self.pool, self.choices.overlaps)?;
        Ok(api)
    }

    /// Whether the RPCs that are for gRPC only are there.
    fn grpc_only(&self, files: &[FileDescriptor], served: &BTreeSet<String>) -> Result<(), Error> {
        let files = files.iter().filter(|file| served.contains(file.name()));
        let methods = files
            .flat_map(FileDescriptor::services)
            .flat_map(|service| service.methods().collect::<Vec<_>>());
        let mut missing: BTreeSet<_> = self.choices.grpc_only.iter().map(String::as_str).collect();
        for method in methods {
            missing.remove(method.full_name());
        }
        missing.first().map_or(Ok(()), |name| {
            Err(Error::Setting(format!(
                "grpc_only names `{name}`, which is no RPC that is served"
            )))
        })
    }

    fn message(&self, api: &mut Api, descriptor: &MessageDescriptor) -> Result<(), Error> {
        if descriptor.is_map_entry() {
            return Ok(());
        }
        let whole = self.pool.get_extension_by_name("buf.validate.message");
        if whole.is_some_and(|whole| descriptor.options().has_extension(&whole)) {
            return Err(Error::Contract {
                place: place(
                    &descriptor.parent_file(),
                    descriptor.path(),
                    descriptor.full_name(),
                ),
                message: "rules of a whole message, (buf.validate.message), are not supported"
                    .to_owned(),
            });
        }
        let oneofs: Vec<_> = descriptor
            .oneofs()
            .filter(|oneof| !oneof.is_synthetic())
            .collect();
        let fields = descriptor
            .fields()
            .map(|field| self.field(&field))
            .collect::<Result<Vec<_>, _>>()?;
        let mut fields: Vec<(Vec<i32>, Field)> = fields;
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        let message = Message {
            package: descriptor.package_name().to_owned(),
            path: local_path(descriptor.full_name(), descriptor.package_name()),
            docs: self.docs.of(&descriptor.parent_file(), descriptor.path()),
            fields: fields.into_iter().map(|(_, field)| field).collect(),
            oneofs: oneofs
                .iter()
                .map(|oneof| self.oneof(oneof))
                .collect::<Result<_, _>>()?,
            event: self.event(descriptor)?,
            well_known: None,
        };
        api.messages
            .insert(descriptor.full_name().to_owned(), message);
        for child in descriptor.child_messages() {
            self.message(api, &child)?;
        }
        for child in descriptor.child_enums() {
            self.add_enum(api, &child);
        }
        Ok(())
    }

    fn oneof(&self, descriptor: &OneofDescriptor) -> Result<Oneof, Error> {
        let rules: Option<OneofRules> =
            options::rules(self.pool, &descriptor.options(), "buf.validate.oneof").map_err(
                |message| {
                    let file = descriptor.parent_message().parent_file();
                    Error::Contract {
                        place: place(&file, descriptor.path(), descriptor.full_name()),
                        message,
                    }
                },
            )?;
        Ok(Oneof {
            name: descriptor.name().to_owned(),
            required: rules.is_some_and(|rules| rules.required == Some(true)),
        })
    }

    /// A field, with its path in the file to sort by: the order people wrote, not that of the numbers.
    fn field(&self, descriptor: &FieldDescriptor) -> Result<(Vec<i32>, Field), Error> {
        let said = descriptor.options();
        let options: FieldOptions =
            extension(self.pool, &said, "transcode.v1.field").unwrap_or_default();
        let (shape, kind) = self.shape(descriptor);
        if descriptor.cardinality() == Cardinality::Required && kind.as_message().is_some() {
            return Err(error(
                descriptor,
                "a required field can't be a message: make it optional",
            ));
        }
        let ty = match (field_type(&kind), options.decimal) {
            (Type::Scalar(Scalar::String), Some(decimal)) => {
                if !(1..=18).contains(&decimal.integer_digits)
                    || !(0..=18).contains(&decimal.fraction_digits)
                {
                    return Err(error(
                        descriptor,
                        "a decimal has 1 to 18 integer digits and 0 to 18 fraction digits",
                    ));
                }
                Type::Decimal(decimal)
            }
            (_, Some(_)) => return Err(error(descriptor, "only a string can hold a decimal")),
            (ty, None) => ty,
        };
        let text = matches!(
            ty,
            Type::Scalar(Scalar::String) | Type::WellKnown(WellKnown::Struct)
        );
        if options.no_null_characters
            && !(text
                && matches!(
                    shape,
                    Shape::Implicit | Shape::Optional | Shape::Oneof { .. }
                ))
        {
            return Err(error(
                descriptor,
                "no_null_characters is for one string or one Struct",
            ));
        }
        let field = Field {
            name: descriptor.name().to_owned(),
            json_name: descriptor.json_name().to_owned(),
            docs: self.docs.of(&descriptor.parent_file(), descriptor.path()),
            deprecated: descriptor
                .field_descriptor_proto()
                .options
                .as_ref()
                .is_some_and(prost_types::FieldOptions::deprecated),
            shape,
            ty,
            rules: options::rules(self.pool, &said, "buf.validate.field")
                .map_err(|text| error(descriptor, &text))?
                .unwrap_or_default(),
            message: options.message,
            no_null_characters: options.no_null_characters,
            example: options.example,
            behavior: field_behavior(self.pool, &said),
            secret: options::debug_redact(&said),
        };
        Ok((descriptor.path().to_vec(), field))
    }

    fn add_enum(&self, api: &mut Api, descriptor: &EnumDescriptor) {
        let values = descriptor.values().map(|value| {
            let options: options::EnumValueOptions =
                extension(self.pool, &value.options(), "transcode.v1.enum_value")
                    .unwrap_or_default();
            EnumValue {
                name: value.name().to_owned(),
                json_name: if options.json_name.is_empty() {
                    value.name()
                } else {
                    &options.json_name
                }
                .to_owned(),
                number: value.number(),
                docs: self.docs.of(&descriptor.parent_file(), value.path()),
                options,
            }
        });
        let found = Enum {
            package: descriptor.package_name().to_owned(),
            path: local_path(descriptor.full_name(), descriptor.package_name()),
            docs: self.docs.of(&descriptor.parent_file(), descriptor.path()),
            values: values.collect(),
        };
        api.enums.insert(descriptor.full_name().to_owned(), found);
    }

    /// How a field holds its values, and of what kind they are.
    fn shape(&self, descriptor: &FieldDescriptor) -> (Shape, Kind) {
        let kind = descriptor.kind();
        if descriptor.is_map()
            && let Kind::Message(entry) = &kind
        {
            let key = entry.map_entry_key_field().kind();
            let key = scalar(&key).unwrap_or(Scalar::String);
            return (Shape::Map(key), entry.map_entry_value_field().kind());
        }
        // prost has it as it is, whatever it says of presence.
        let required = descriptor.cardinality() == Cardinality::Required;
        let boxed = kind
            .as_message()
            .is_some_and(|message| self.cycles.through(descriptor.parent_message(), message));
        let oneof = descriptor
            .containing_oneof()
            .filter(|oneof| !oneof.is_synthetic());
        let shape = if let Some(oneof) = oneof {
            let mut written = descriptor
                .parent_message()
                .oneofs()
                .filter(|oneof| !oneof.is_synthetic());
            Shape::Oneof {
                index: written
                    .position(|other| other.name() == oneof.name())
                    .unwrap_or_default(),
                boxed,
            }
        } else if descriptor.is_list() {
            Shape::Repeated
        } else if required && kind.as_message().is_none() {
            Shape::Implicit
        } else if boxed {
            Shape::Boxed
        } else if descriptor.supports_presence() {
            Shape::Optional
        } else {
            Shape::Implicit
        };
        (shape, kind)
    }
}

/// Adds those of the messages of an RPC that are well-known types.
fn well_known_messages(api: &mut Api, method: &MethodDescriptor) {
    for descriptor in [method.input(), method.output()] {
        let name = descriptor.full_name();
        if let Some(found) = well_known(name) {
            api.messages
                .entry(name.to_owned())
                .or_insert_with(|| Message {
                    package: descriptor.package_name().to_owned(),
                    path: local_path(name, descriptor.package_name()),
                    docs: String::new(),
                    fields: Vec::new(),
                    oneofs: Vec::new(),
                    event: None,
                    well_known: Some(found),
                });
        }
    }
}

fn error(descriptor: &FieldDescriptor, message: &str) -> Error {
    let file = descriptor.parent_file();
    Error::Contract {
        place: place(&file, descriptor.path(), descriptor.full_name()),
        message: message.to_owned(),
    }
}

/// Where something stands.
fn place(file: &FileDescriptor, path: &[i32], subject: &str) -> Place {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location =
        info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let number = |index: usize| {
        location
            .and_then(|location| location.span.get(index))
            .and_then(|n| usize::try_from(*n).ok())
            .map_or(0, |n| n + 1)
    };
    Place {
        file: file.name().to_owned(),
        line: number(0),
        column: number(1),
        subject: subject.to_owned(),
    }
}

fn local_path(full_name: &str, package: &str) -> Vec<String> {
    let local = full_name
        .strip_prefix(package)
        .unwrap_or(full_name)
        .trim_start_matches('.');
    local.split('.').map(str::to_owned).collect()
}
