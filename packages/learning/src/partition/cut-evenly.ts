/** Cuts a list into runs whose lengths differ by at most one. */
export function cutEvenly(list: Uint32Array, runs: number): Uint32Array[] {
  return Array.from({ length: runs }, (_, run) => {
    return list.slice(Math.floor((run * list.length) / runs), Math.floor(((run + 1) * list.length) / runs))
  })
}
