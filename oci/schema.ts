import { integerOf, isJsonObject } from "./lossless.js";

/** One thing that is wrong with a value, and where: `linux.resources.memory.limit`. */
export interface Problem {
  /** The field's path; empty for the whole value. */
  readonly path: string;
  readonly problem: string;
}

/** Checks values and carries their type; what it does not name is allowed and left alone. */
export interface Schema<T> {
  /** Tells every problem of a value at a path. */
  check(value: unknown, path: string, report: (problem: Problem) => void): void;
  /** Only for {@link TypeOf}: never set. */
  readonly type?: T;
}

/** A field that need not be there. As in Go, `null` is the same as not being there. */
export interface OptionalField<T> extends Schema<T | null | undefined> {
  readonly optional: true;
}

/** The type of the values that a schema accepts. */
export type TypeOf<S> = S extends Schema<infer T> ? T : never;

type Fields = Readonly<Record<string, Schema<unknown>>>;

type OptionalKeys<F extends Fields> = {
  [K in keyof F]: F[K] extends OptionalField<unknown> ? K : never;
}[keyof F];

/** The type of an object with these fields. */
export type ObjectOf<F extends Fields> = {
  -readonly [K in Exclude<keyof F, OptionalKeys<F>>]: TypeOf<F[K]>;
} & { -readonly [K in OptionalKeys<F>]?: TypeOf<F[K]> };

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return isJsonObject(value) ? "an object" : "a number";
  return typeof value === "bigint" ? "a number" : `a ${typeof value}`;
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function leaf<T>(problemOf: (value: unknown) => string | undefined): Schema<T> {
  return {
    check(value, path, report) {
      const problem = problemOf(value);
      if (problem !== undefined) report({ path, problem });
    },
  };
}

/** A field that need not be there. */
export function optional<T>(schema: Schema<T>): OptionalField<T> {
  return {
    optional: true,
    check(value, path, report) {
      if (!isAbsent(value)) schema.check(value, path, report);
    },
  };
}

/** A string; with a test, one that passes it. `wanted` completes "… is not". */
export function text(test?: (value: string) => boolean, wanted = ""): Schema<string> {
  return leaf((value) => {
    if (typeof value !== "string") return `a string is wanted, not ${kindOf(value)}`;
    return test === undefined || test(value) ? undefined : `${JSON.stringify(value)} is not ${wanted}`;
  });
}

/** One of a few words. */
export function oneOf<const T extends string>(...words: readonly T[]): Schema<T> {
  const known: ReadonlySet<string> = new Set(words);
  return leaf((value) => {
    if (typeof value !== "string") return `a string is wanted, not ${kindOf(value)}`;
    return known.has(value) ? undefined : `${JSON.stringify(value)} is none of ${words.join(", ")}`;
  });
}

export function boolean(): Schema<boolean> {
  return leaf((value) =>
    typeof value === "boolean" ? undefined : `true or false is wanted, not ${kindOf(value)}`,
  );
}

/** An integer, a bigint where it is beyond what a number holds exactly; both bounds are allowed values. */
export function integer(least: bigint, most: bigint): Schema<number | bigint> {
  return leaf((value) => {
    if (typeof value !== "number" && typeof value !== "bigint")
      return `an integer is wanted, not ${kindOf(value)}`;
    const exact = integerOf(value);
    if (exact === undefined) return `an integer is wanted, not ${value}`;
    return exact < least || exact > most ? `${exact} is not between ${least} and ${most}` : undefined;
  });
}

/** An integer that a JavaScript number holds exactly. */
export function smallInteger(least: number, most: number): Schema<number> {
  return integer(BigInt(least), BigInt(most)) as Schema<number>;
}

export function list<T>(element: Schema<T>, least = 0): Schema<T[]> {
  return {
    check(value, path, report) {
      if (!Array.isArray(value)) {
        report({ path, problem: `an array is wanted, not ${kindOf(value)}` });
        return;
      }
      if (value.length < least) report({ path, problem: `at least ${least} element is wanted` });
      for (const [index, item] of value.entries()) element.check(item, `${path}[${index}]`, report);
    },
  };
}

/** An object whose keys are data. */
export function record<T>(element: Schema<T>): Schema<Record<string, T>> {
  return {
    check(value, path, report) {
      if (!isJsonObject(value)) {
        report({ path, problem: `an object is wanted, not ${kindOf(value)}` });
        return;
      }
      for (const [key, item] of Object.entries(value))
        element.check(item, `${path}[${JSON.stringify(key)}]`, report);
    },
  };
}

/** An object with these fields, and others that are left alone. */
export function object<const F extends Fields>(fields: F): Schema<ObjectOf<F>> {
  return {
    check(value, path, report) {
      if (!isJsonObject(value)) {
        report({ path, problem: `an object is wanted, not ${kindOf(value)}` });
        return;
      }
      for (const [name, schema] of Object.entries(fields)) {
        const field = Object.hasOwn(value, name) ? value[name] : undefined;
        const fieldPath = path === "" ? name : `${path}.${name}`;
        if (isAbsent(field) && !("optional" in schema)) report({ path: fieldPath, problem: "is missing" });
        else schema.check(field, fieldPath, report);
      }
    },
  };
}

/** Further conditions on a value that already has its type. */
export function refined<T>(
  schema: Schema<T>,
  problemsOf: (value: T) => Iterable<[field: string, problem: string]>,
): Schema<T> {
  return {
    check(value, path, report) {
      const found: Problem[] = [];
      schema.check(value, path, (problem) => found.push(problem));
      found.forEach(report);
      if (found.length > 0) return;
      for (const [field, problem] of problemsOf(value as T)) {
        const between = path === "" || field === "" || field.startsWith("[") ? "" : ".";
        report({ path: `${path}${between}${field}`, problem });
      }
    },
  };
}
