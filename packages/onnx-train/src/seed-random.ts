import type { Attribute, Node } from './graph.ts'

/** Operators that draw numbers, and how each is told a seed. */
const seeded = new Map<string, 'int' | 'float'>([
  ['Bernoulli', 'float'],
  ['Dropout', 'int'],
  ['Multinomial', 'float'],
  ['RandomNormal', 'float'],
  ['RandomNormalLike', 'float'],
  ['RandomUniform', 'float'],
  ['RandomUniformLike', 'float'],
])

/** Seeds are small enough to be floats, and one apart from node to node. */
const seedSpace = 2 ** 20

export const isRandom = ({ op }: Node): boolean => seeded.has(op)

/**
 * Gives every node that draws numbers a seed of its own: the same seed draws the same numbers in every new session, in
 * the order of steps. Without one the runtime draws by the clock.
 */
export const seedRandom = (nodes: readonly Node[], seed: number): Node[] => {
  let drawn = 0
  return nodes.map(node => {
    const type = seeded.get(node.op)
    if (type === undefined) return node
    const value = (Math.imul(seed, 9973) + ++drawn) >>> 0
    const own: Attribute = type === 'int' ? { int: value % seedSpace } : { float: value % seedSpace }
    return { ...node, attributes: new Map([...node.attributes, ['seed', own]]) }
  })
}
