import type { Case } from "./case.js";
import { compose } from "./compose.js";
import { confinement } from "./confinement.js";
import { ctr } from "./ctr.js";
import { events } from "./events.js";
import { exec } from "./exec.js";
import { files } from "./files.js";
import { kubernetes } from "./kubernetes.js";
import { kubernetesTrouble } from "./kubernetes-trouble.js";
import { life } from "./life.js";
import { network } from "./network.js";
import { options } from "./options.js";
import { pods } from "./pods.js";
import { programs } from "./programs.js";
import { shimKilled } from "./shim-killed.js";
import { userNamespace } from "./user-namespace.js";

/** All cases, in the order of docs/compatibility.md. */
export const sections: Readonly<Record<string, readonly Case[]>> = {
  "Programs and their streams": programs,
  "A container's life": life,
  "Programs started in a container": exec,
  "Identity, limits and namespaces": confinement,
  "Files and volumes": files,
  "Networks and ports": network,
  "What fewer use of docker": options,
  "Users in a range of their own (--userns-remap)": userNamespace,
  Compose: compose,
  Pods: pods,
  Kubernetes: [...kubernetes, ...kubernetesTrouble],
  "containerd's own ctr": ctr,
  "The shim is killed (kill -9)": shimKilled,
  "containerd is away, or hears of an end twice or not at all": events,
};
