import type { Graph } from './graph.ts'

/** A train step as a graph of its own. Its first inputs and outputs are the parameters, in manifest order. */
export type WrappedStep = {
  readonly graph: Graph
  readonly features: string
  readonly labels: string
  readonly learningRate: string
  readonly order?: string
  readonly losses: string
}
