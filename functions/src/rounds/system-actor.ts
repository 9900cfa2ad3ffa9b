/** Who acts where nobody asked: events, deadlines, merges. */
export const systemActor = 'system'
