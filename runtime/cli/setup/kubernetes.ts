import { readIfThere } from "./read.js";
import type { Target } from "./target.js";

/** The shim of a pod and its monitors' own memory are not the containers', and the scheduler has to know. */
const manifest = `apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata:
  name: tine
handler: tine
overhead:
  podFixed:
    memory: 80Mi
    cpu: 20m
scheduling:
  nodeSelector:
    tine/runtime: "true"
`;

const usualFile = "tine-runtimeclass.yaml";

/** A RuntimeClass: written as a file for kubectl, since a cluster is nobody's to change unasked. */
export const kubernetesTarget: Target = {
  summary: "a RuntimeClass `tine`, as a manifest",
  plan(file = usualFile, undo) {
    const before = readIfThere(file);
    if (undo) {
      const files = before === undefined ? [] : [{ path: file, before, after: undefined }];
      return Promise.resolve({ files, shown: manifest, next: ["kubectl delete runtimeclass tine"] });
    }
    return Promise.resolve({
      files: before === manifest ? [] : [{ path: file, before, after: manifest }],
      shown: manifest,
      next: [
        "tine setup containerd --apply    # on every node that is to run such pods",
        "kubectl label node NODE tine/runtime=true",
        `kubectl apply -f ${file}`,
        "then, in a pod: runtimeClassName: tine",
      ],
    });
  },
};
