//! Comments, which descriptors keep apart from what they are about.

use std::collections::HashMap;

use prost_reflect::FileDescriptor;

/// The comments of files, by the path of what they stand in front of.
pub(super) struct Docs(HashMap<String, HashMap<Vec<i32>, String>>);

impl Docs {
    pub(super) fn new(files: &[FileDescriptor]) -> Self {
        let files = files.iter().map(|file| {
            let info = file.file_descriptor_proto().source_code_info.as_ref();
            let locations = info.iter().flat_map(|info| &info.location);
            let commented = locations.filter(|location| location.leading_comments.is_some());
            let comments = commented
                .map(|location| (location.path.clone(), tidy(location.leading_comments())));
            (file.name().to_owned(), comments.collect())
        });
        Self(files.collect())
    }

    /// The comments in front of something.
    pub(super) fn of(&self, file: &FileDescriptor, path: &[i32]) -> String {
        let comments = self.0.get(file.name()).and_then(|file| file.get(path));
        comments.cloned().unwrap_or_default()
    }
}

/// A comment without the space behind the slashes.
fn tidy(comment: &str) -> String {
    let lines: Vec<_> = comment
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    lines.join("\n").trim().to_owned()
}
