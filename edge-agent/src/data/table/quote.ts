/** Outside text in a message: quoted, its odd characters escaped, no longer than a line. */
export const quote = (text: string): string => JSON.stringify(text.slice(0, 60))
