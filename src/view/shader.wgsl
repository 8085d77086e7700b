// The guest's picture over the whole viewport. A guest pixel is flat, and where two of them meet within a device pixel, that one has a part
// of each: so whole-number enlargements are exact, and others are neither blurred nor ragged.

@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var between: sampler;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) at: vec2<f32>,
}

// One triangle that is twice as large as the viewport.
@vertex
fn corner(@builtin(vertex_index) index: u32) -> Corner {
    let at = vec2<f32>(f32(index & 1u), f32(index >> 1u)) * 2.0;
    return Corner(vec4<f32>(at.x * 2.0 - 1.0, 1.0 - at.y * 2.0, 0.0, 1.0), at);
}

@fragment
fn pixel(corner: Corner) -> @location(0) vec4<f32> {
    let size = vec2<f32>(textureDimensions(picture));
    let texel = corner.at * size;
    let edge = floor(texel + 0.5);
    let from_edge = clamp((texel - edge) / fwidth(texel), vec2<f32>(-0.5), vec2<f32>(0.5));
    return vec4<f32>(textureSample(picture, between, (edge + from_edge) / size).rgb, 1.0);
}
