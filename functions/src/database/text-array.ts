/** An element in quotes, where a backslash takes the next character as it is, or one without. */
const element = /"((?:[^"\\]|\\.)*)"|([^{},]+)/gs

/**
 * The members of a text[] of one dimension.
 * @param literal as Postgres writes it: `{a,"b c",NULL}` (Postgres 17, 8.15.6)
 */
export const parseTextArray = (literal: string): (string | null)[] =>
  [...literal.matchAll(element)].map(([, quoted, plain]) => {
    if (quoted !== undefined) return quoted.replace(/\\(.)/gs, '$1')
    return plain === 'NULL' ? null : (plain as string)
  })

/** @returns the literal that Postgres reads as these members */
export const formatTextArray = (members: readonly (string | null)[]): string =>
  `{${members.map(member => (member === null ? 'NULL' : `"${member.replace(/["\\]/g, '\\$&')}"`)).join(',')}}`
