import type { TestImage } from "../harness/image.js";
import { freshId, type Ctr } from "../harness/ctr.js";
import { goProgram, type Side } from "./sides.js";
import { mountPoint } from "./work-folder.js";

/**
 * The image's programs in a container by `ctr run`: one container a group, since each has its own work folder.
 *
 * @param ctr - its runtime runs the container; it must know the image
 */
export function containerSide(name: string, ctr: Ctr, image: TestImage): Side {
  return {
    name,
    run: (folder, limit) =>
      ctr.run(image, ["/bin/sh", `${mountPoint}/driver`], {
        id: freshId("differential"),
        limit,
        flags: [
          ...["--mount", `type=bind,src=${folder},dst=${mountPoint},options=rbind:rw`],
          ...["--mount", `type=bind,src=${goProgram},dst=/opt/buf,options=rbind:ro`],
          ...["--mount", "type=tmpfs,src=tmpfs,dst=/tmp,options=mode=1777"],
        ],
      }),
  };
}
