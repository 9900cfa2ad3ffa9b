/** `length` lines, one for each index. */
export function unrolled(length: number, line: (i: number) => string): string {
  return Array.from({ length }, (_, i) => line(i)).join('\n')
}

/** Moves a pointer on. */
export function advance(local: string, bytes: number): string {
  return `(local.set ${local} (i32.add (local.get ${local}) (i32.const ${bytes})))`
}

/**
 * Runs `body` while `$from` is before the local `end`; the body moves `$from`. Addresses stay below 2^32, since a memory of
 * `kernels.ts` never has all of its 65 536 pages.
 */
export function whileBefore(end: string, body: string): string {
  return `
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get ${end})))
        ${body}
        (br $next)))`
}

/**
 * Sets `$whole` behind the last whole block and `$end` behind the last element.
 * @param count a local, in elements
 * @param block elements of a block, a power of two
 */
export function setEnds(count: string, elementBytes: number, block: number): string {
  const behind = (elements: string) => `(i32.add (local.get $from) (i32.mul ${elements} (i32.const ${elementBytes})))`
  return `
    (local.set $whole ${behind(`(i32.and (local.get ${count}) (i32.const ${-block}))`)})
    (local.set $end ${behind(`(local.get ${count})`)})`
}
