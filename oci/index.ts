export * from "./errors.js";
export * from "./image.js";
export * from "./runtime-spec.js";
export { readImageArchive, type ReadImage } from "./layout-reader.js";
export { writeImageArchive, type ImageSource } from "./layout-writer.js";
export {
  integerOf,
  isJsonObject,
  JsonError,
  JsonNumber,
  maximumDepth,
  parseLossless,
  stringifyLossless,
  type JsonErrorCode,
  type JsonObject,
  type JsonValue,
} from "./lossless.js";
