import { addGradient } from './add.ts'
import { convGradient } from './conv.ts'
import { gemmGradient, matMulGradient } from './gemm.ts'
import type { GradientRule } from './gradient-rule.ts'
import { maxPoolGradient } from './max-pool.ts'
import { reluGradient } from './relu.ts'
import { identityGradient, reshapeGradient } from './reshape.ts'

/** Operators whose gradient may come from any of their outputs. */
export const manyOutputs: ReadonlySet<string> = new Set(['Split'])

/** Operators that a gradient can pass through. */
export const gradientRules: ReadonlyMap<string, GradientRule> = new Map([
  ['Add', addGradient],
  ['Conv', convGradient],
  ['Flatten', reshapeGradient],
  ['Gemm', gemmGradient],
  ['Identity', identityGradient],
  ['MatMul', matMulGradient],
  ['MaxPool', maxPoolGradient],
  ['Relu', reluGradient],
  ['Reshape', reshapeGradient],
  ['Squeeze', reshapeGradient],
  ['Unsqueeze', reshapeGradient],
])
