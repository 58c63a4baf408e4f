"""Requests, and where their rules put them: the RPC, the request as ProtoJSON, the method and the path that a client has
to choose for it, unescaped. What is not in the path is in the body or in the query, as the rule says."""

SCALARS = {
    "text": "ünï côde & more = 50% off?",
    "small": -2147483648,
    "large": "-9223372036854775808",
    "count": 4294967295,
    "total": "18446744073709551615",
    "offset": -5,
    "stamp": "9007199254740993",
    "share": -0.25,
    "ratio": 1e300,
    "flag": True,
    "data": "+/8=",
    "colour": "COLOUR_GREEN",
}
IN_QUERY = {
    **SCALARS,
    "nested": {"text": "a.b", "ratio": 0.1, "colour": "COLOUR_RED", "inner": {"inner": {"text": "deep"}}},
    "maybeText": "",
    "maybeSmall": 0,
    "maybeFlag": False,
    "maybeColour": "COLOUR_UNSPECIFIED",
    "number": "-7",
    "words": ["a", "", "b c", "d&e=f"],
    "numbers": [1, -2, 0],
    "colours": ["COLOUR_RED", "COLOUR_GREEN", "COLOUR_RED"],
    "time": "2024-01-15T10:30:00.250Z",
    "length": "-1.500s",
    "mask": "text,nested.inner",
    "wrappedText": "",
    "wrappedLarge": "0",
}
WHOLE = {
    **IN_QUERY,
    "labels": {"": "empty", "a.b": "c", "ü": "%2F"},
    "parts": [{"text": "one"}, {}, {"inner": {"ratio": 2.5}}],
    "extra": {"a": [1, None, {"b": True}], "": "x"},
}
REST = {"tags": ["x", "y z"], "ordinal": "0"}

RESOURCE = {"text": "shelves/a ü", "nested": {"text": "books/b:c"}, "flag": True}
CRATES_FIRST = {"text": "shelves/1", "nested": {"text": "crates/2"}}
TRAILING = {"text": "shelves/1", "nested": {"text": "books/2/pages/3/ü", "ratio": 0.5}}

CASES = [
    ("EchoBody", {}, "POST", "/v1/compliance:body"),
    ("EchoBody", {"name": "n", "sample": WHOLE, **REST}, "POST", "/v1/compliance:body"),
    ("EchoBody", {"sample": {"word": "w", "share": "Infinity", "ratio": "NaN"}}, "POST", "/v1/compliance:body"),
    ("EchoField", {"sample": WHOLE, "name": "n/m", **REST}, "POST", "/v1/compliance:field"),
    ("EchoField", {"sample": {}}, "POST", "/v1/compliance:field"),
    ("EchoQuery", {}, "GET", "/v1/compliance:query"),
    ("EchoQuery", {"name": "n", "sample": IN_QUERY, **REST}, "GET", "/v1/compliance:query"),
    ("EchoQuery", {"sample": {"word": "", "share": "-Infinity"}}, "GET", "/v1/compliance:query"),
    (
        "EchoPath",
        {"sample": {**SCALARS, "text": "ünï côde", "ratio": -2.5}, **REST},
        "GET",
        "/v1/compliance/ünï côde/-2147483648/-2.5/True/2:path",
    ),
    ("EchoResource", {"sample": RESOURCE, **REST}, "GET", "/v1/compliance/shelves/a ü/books/b:c/flag/True:resource"),
    ("EchoResource", {"sample": CRATES_FIRST}, "GET", "/v1/compliance/crates/2/shelves/1:resource"),
    ("EchoTrailing", {"sample": TRAILING}, "GET", "/v1/compliance/shelves/1/books/2/pages/3/ü:trailing"),
    ("ReplaceSample", {"name": "samples/1", "sample": WHOLE, **REST}, "PUT", "/v1/compliance/samples/1"),
    (
        "UpdateSample",
        {"sample": {"text": "samples/1", "flag": False, "small": 3}, "updateMask": "small,flag"},
        "PATCH",
        "/v1/compliance/samples/1",
    ),
    ("DeleteSample", {"name": "samples/a/b", "allowMissing": True}, "DELETE", "/v1/compliance/samples/a/b"),
]
