// `npm run proto`: generates shim/proto's TypeScript anew from the .proto files.
import { delimiter, join } from "node:path";
import { repository } from "../lib/paths.mjs";
import { runToEnd } from "../lib/progress.mjs";

const tools = join(repository, "node_modules/.bin");
process.exitCode = await runToEnd(join(tools, "buf"), ["generate"], {
  cwd: join(repository, "shim/proto"),
  env: { ...process.env, PATH: `${tools}${delimiter}${process.env.PATH}` },
});
