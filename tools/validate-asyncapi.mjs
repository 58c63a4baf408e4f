// Checks AsyncAPI 3.0 documents (JSON) by the official schema, that their references lead somewhere, and that their
// examples fit their own schemas. It must refuse broken copies, too, so that it is known to look.
import { readFileSync } from "node:fs";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import specs from "@asyncapi/specs";

// Keywords such as `format: int32` and `x-version` are not those of JSON Schema.
const ajv = () => addFormats(new Ajv({ strict: false, allErrors: true }));
const official = ajv().compile(specs.schemasWithoutId["3.0.0"]);

function problems(document) {
  const found = [];
  if (!official(document)) {
    found.push(...official.errors.map((error) => `${error.instancePath}: ${error.message}`));
  }
  const resolve = (pointer) =>
    pointer
      .slice(2)
      .split("/")
      .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
      .reduce((value, part) => value?.[part], document);
  (function walk(value) {
    if (typeof value !== "object" || value === null) return;
    const target = value.$ref;
    if (typeof target === "string" && !(target.startsWith("#/") && resolve(target) !== undefined)) {
      found.push(`${target} leads nowhere`);
    }
    Object.values(value).forEach(walk);
  })(document);
  if (found.length > 0) return found;

  const schemas = ajv().addSchema({ $id: "document:", ...document });
  for (const [name, message] of Object.entries(document.components.messages)) {
    const fits = schemas.compile({ $ref: `document:${message.payload.$ref}` });
    for (const example of message.examples) {
      if (!fits(example.payload)) {
        found.push(...fits.errors.map((error) => `example of ${name}: ${error.instancePath} ${error.message}`));
      }
    }
  }
  return found;
}

let failed = false;
for (const file of process.argv.slice(2)) {
  const document = JSON.parse(readFileSync(file, "utf8"));
  const found = problems(document);
  found.forEach((problem) => console.error(`${file}: ${problem}`));
  failed ||= found.length > 0;

  const [name] = Object.keys(document.components.messages);
  const [operation] = Object.keys(document.operations);
  const breaks = {
    "an action that there is not": (copy) => (copy.operations[operation].action = "shout"),
    "a message that there is not": (copy) => delete copy.components.messages[name],
    "an example of another kind": (copy) => (copy.components.messages[name].examples[0].payload.data = 7),
  };
  for (const [what, change] of Object.entries(breaks)) {
    const copy = structuredClone(document);
    change(copy);
    if (problems(copy).length === 0) {
      console.error(`${file}: ${what} is not noticed`);
      failed = true;
    }
  }
  if (!failed) console.log(`${file}: valid`);
}
process.exit(failed ? 1 : 0);
