import type { Attribute, Node } from './graph.ts'
import { int64Vector, scalar, type Tensor } from './tensor.ts'

/** What attributes may be written as: plain integers and integer lists, or a tagged attribute. */
export type EmittedAttributes = Readonly<Record<string, number | readonly number[] | Attribute>>

/** Appends nodes and constants under names that are not taken. */
export class Emitter {
  readonly nodes: Node[] = []
  readonly constants = new Map<string, Tensor>()
  readonly #taken: Set<string>
  /** The next suffix to try by wish: names are never given back. */
  readonly #suffixes = new Map<string, number>()
  readonly #int64Vectors = new Map<string, string>()
  readonly #scalars = new Map<string, string>()

  /** @param taken names already used in the graph that is being extended */
  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken)
  }

  /** A name that nobody uses, derived from `wish`. */
  fresh(wish: string): string {
    let suffix = this.#suffixes.get(wish) ?? 0
    let name = suffix === 0 ? wish : `${wish}.${suffix}`
    while (this.#taken.has(name)) name = `${wish}.${++suffix}`
    this.#suffixes.set(wish, suffix + 1)
    this.#taken.add(name)
    return name
  }

  /** Adds a node with one output and returns the output's name. Plain numbers are integer attributes. */
  emit(op: string, inputs: readonly string[], attributes: EmittedAttributes = {}, wish = `${op}.out`): string {
    const output = this.fresh(wish)
    this.define([output], op, inputs, attributes)
    return output
  }

  /** Adds a node without attributes. */
  call(op: string, ...inputs: readonly string[]): string {
    return this.emit(op, inputs)
  }

  /** Adds a node that writes names which are already spoken for. */
  define(outputs: readonly string[], op: string, inputs: readonly string[], attributes: EmittedAttributes = {}): void {
    const tagged = Object.entries(attributes).map(([key, value]): [string, Attribute] => [key, tag(value)])
    this.nodes.push({ op, name: '', inputs, outputs, attributes: new Map(tagged) })
  }

  /** Runs `emission` and takes the nodes it emitted out, for the caller to place. */
  capture(emission: () => void): Node[] {
    const before = this.nodes.length
    emission()
    return this.nodes.splice(before)
  }

  /** Adds a constant and returns its name. */
  constant(tensor: Tensor, wish = 'constant'): string {
    const name = this.fresh(wish)
    this.constants.set(name, tensor)
    return name
  }

  /** A constant int64 vector (shapes, axes); equal ones share a name. */
  int64s(values: readonly number[]): string {
    const key = values.join()
    const known = this.#int64Vectors.get(key)
    if (known !== undefined) return known
    const name = this.constant(int64Vector(values), 'ints')
    this.#int64Vectors.set(key, name)
    return name
  }

  /** A constant scalar; equal ones share a name. */
  scalar(dtype: 'float32' | 'float64', value: number): string {
    const key = `${dtype} ${Object.is(value, -0) ? '-0' : value}`
    const known = this.#scalars.get(key)
    if (known !== undefined) return known
    const name = this.constant(scalar(dtype, value), 'scalar')
    this.#scalars.set(key, name)
    return name
  }
}

const tag = (value: number | readonly number[] | Attribute): Attribute => {
  if (typeof value === 'number') return { int: value }
  return isList(value) ? { ints: value } : value
}

const isList = (value: readonly number[] | Attribute): value is readonly number[] => Array.isArray(value)
