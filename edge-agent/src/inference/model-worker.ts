import { openParentPort } from '../processes/parent-port.ts'
import type { ModelReport, ModelRequest } from './worker/protocol.ts'
import { serveModel } from './worker/serve-model.ts'

// Where the engine has this type, the runtime's JavaScript wraps FP16 in it, and its native part takes that for an array without elements;
// where not, the bits are given as Uint16Array, which it takes. It looks when the first tensor is made.
Reflect.deleteProperty(globalThis, 'Float16Array')

const { take, close } = serveModel(report => port.post(report))
const port = openParentPort<ModelRequest, ModelReport>(take, close)
