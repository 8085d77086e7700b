//! The screen in the window: the guest's picture in a texture, drawn where it stands.
//!
//! [`pixels`] has the surface, the texture and its way to the graphics card, and no sight of ours; where the picture stands and how it is
//! enlarged is said by [`Placement`], so that a pointer hits what a person sees. Only rows that changed are copied out of a [`Frame`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use anyhow::{Context, Result, anyhow, bail};
use api::ui::Rect;
use console::geometry::Placement;
use console::{Cursor, Frame};
use pixels::wgpu::{
    AddressMode, Backends, BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, BlendState, Color,
    FilterMode, LoadOp, Operations, PresentMode, RenderPassColorAttachment, RenderPassDescriptor, RenderPipeline,
    RenderPipelineDescriptor, Sampler, SamplerDescriptor, ShaderModuleDescriptor, ShaderSource, StoreOp, TextureFormat,
    TextureViewDescriptor,
};
use pixels::wgpu::{FragmentState, PipelineCompilationOptions, VertexState};
use pixels::{Pixels, PixelsBuilder, SurfaceTexture};
use winit::dpi::PhysicalSize;
use winit::window::Window;

use crate::cursor;

/// The engine's own format, and one that every surface has: colours go through unchanged.
const FORMAT: TextureFormat = TextureFormat::Bgra8Unorm;
/// Errors without a picture between them after which there will be none: [`Pixels`] goes on trying, also when the desktop is gone.
const NO_MORE: u32 = 100;
/// How dark the last picture of a machine that has ended is.
const DIMMED: u8 = 3;

/// A window's surface and the picture on it.
pub(crate) struct Screen {
    pixels: Pixels<'static>,
    size: PhysicalSize<u32>,
    pipeline: RenderPipeline,
    sampler: Sampler,
    /// The texture, for the shader.
    texture: BindGroup,
    frame: Option<Frame>,
    /// Where the guest's pointer is drawn over the frame.
    covered: Rect,
    /// Errors since the last picture.
    refused: Arc<AtomicU32>,
}

impl Screen {
    /// Takes a window's surface. By Vulkan alone: what `pixels` makes of OpenGL on Linux has no windows.
    pub(crate) fn new(window: Arc<Window>) -> Result<Self> {
        let PhysicalSize { width, height } = window.inner_size();
        let size = PhysicalSize::new(width.max(1), height.max(1));
        let surface = SurfaceTexture::new(size.width, size.height, window);
        let pixels = PixelsBuilder::new(1, 1, surface)
            .wgpu_backend(Backends::VULKAN)
            .texture_format(FORMAT)
            .surface_texture_format(FORMAT)
            .blend_state(BlendState::REPLACE)
            // A window that nobody sees never waits; the engine says how often there is something new.
            .present_mode(PresentMode::Mailbox)
            .build()
            .inspect_err(|error| tracing::info!("{error:?}"))
            .map_err(|_| {
                anyhow!("no Vulkan driver here can draw into a window (Debian’s mesa-vulkan-drivers has one for every computer)")
            })?;
        // What the graphics card refuses is missing in the picture: no reason to end, as long as there is one now and then.
        let refused = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&refused);
        pixels.device().on_uncaptured_error(Arc::new(move |error| {
            tracing::error!("graphics: {error}");
            if count.fetch_add(1, Relaxed) == NO_MORE {
                eprintln!("dormer-view: there is no desktop any more to draw on; the machine runs on");
                std::process::exit(1);
            }
        }));
        let pipeline = pipeline(&pixels);
        let sampler = pixels.device().create_sampler(&SamplerDescriptor {
            address_mode_u: AddressMode::ClampToEdge,
            address_mode_v: AddressMode::ClampToEdge,
            mag_filter: FilterMode::Linear,
            min_filter: FilterMode::Linear,
            ..SamplerDescriptor::default()
        });
        let texture = bind(&pixels, &pipeline, &sampler);
        Ok(Self { pixels, size, pipeline, sampler, texture, frame: None, covered: Rect::default(), refused })
    }

    /// The window has another size.
    pub(crate) fn resize(&mut self, size: PhysicalSize<u32>) -> Result<()> {
        if size.width == 0 || size.height == 0 {
            return Ok(());
        }
        let resized = self.pixels.resize_surface(size.width, size.height);
        resized.context("the window is larger than the graphics card allows")?;
        self.size = size;
        Ok(())
    }

    /// The surface's size in device pixels: the window's, as far as it is known here.
    pub(crate) fn size(&self) -> PhysicalSize<u32> {
        self.size
    }

    /// The picture's size in guest pixels; none when there is no picture.
    pub(crate) fn picture(&self) -> Option<(u32, u32)> {
        self.frame.as_ref().map(|frame| (frame.width(), frame.height()))
    }

    /// Takes a new frame.
    pub(crate) fn show(&mut self, frame: Frame) -> Result<()> {
        let size = (frame.width(), frame.height());
        let same = self.picture() == Some(size);
        if !same {
            let resized = self.pixels.resize_buffer(size.0, size.1);
            // `pixels` reckons in floats, which are exact up to 16 million.
            if resized.is_err() || self.pixels.frame().len() != frame.pixels().len() {
                bail!("the machine's screen of {} by {} pixels is larger than can be shown", size.0, size.1);
            }
            self.texture = bind(&self.pixels, &self.pipeline, &self.sampler);
            self.covered = Rect::default();
        }
        let changed = if same { frame.damage() } else { Rect { x: 0, y: 0, width: size.0, height: size.1 } };
        copy(&frame, changed, self.pixels.frame_mut());
        self.frame = Some(frame);
        Ok(())
    }

    /// There is no picture any more.
    pub(crate) fn clear(&mut self) {
        self.frame = None;
    }

    /// Draws the guest's pointer into the picture, where the guest has put it, or takes it away.
    pub(crate) fn point(&mut self, pointer: Option<(&Cursor, (i32, i32))>) {
        let Some(frame) = &self.frame else { return };
        copy(frame, self.covered, self.pixels.frame_mut());
        self.covered = Rect::default();
        if let Some((cursor, at)) = pointer {
            self.covered = cursor::area(cursor, at, (frame.width(), frame.height()));
            cursor::draw(cursor, at, self.covered, self.pixels.frame_mut(), frame.width());
        }
    }

    /// The picture becomes dark: it is the last.
    pub(crate) fn dim(&mut self) {
        self.pixels.frame_mut().iter_mut().for_each(|part| *part /= DIMMED);
    }

    /// Puts it all on the window.
    pub(crate) fn draw(&self, place: Option<Placement>) -> Result<()> {
        let place = place.filter(|_| self.frame.is_some());
        let drawn = self
            .pixels
            .render_with(|encoder, view, _| {
                let black = Operations { load: LoadOp::Clear(Color::BLACK), store: StoreOp::Store };
                let target = RenderPassColorAttachment { view, depth_slice: None, resolve_target: None, ops: black };
                let mut pass = encoder.begin_render_pass(&RenderPassDescriptor {
                    color_attachments: &[Some(target)],
                    ..RenderPassDescriptor::default()
                });
                if let Some(Placement { x, y, width, height, .. }) = place {
                    pass.set_viewport(x as f32, y as f32, width.max(1.0) as f32, height.max(1.0) as f32, 0.0, 1.0);
                    pass.set_pipeline(&self.pipeline);
                    pass.set_bind_group(0, &self.texture, &[]);
                    pass.draw(0..3, 0..1);
                }
                Ok(())
            })
            .context("the graphics card does not draw");
        if drawn.is_ok() {
            self.refused.store(0, Relaxed);
        }
        drawn
    }
}

/// Copies a part of a frame.
fn copy(frame: &Frame, part: Rect, pixels: &mut [u8]) {
    let part = part.clipped(frame.width(), frame.height());
    let (left, bytes) = (part.x as usize * 4, part.width as usize * 4);
    for y in part.y as usize..(part.y + part.height) as usize {
        let row = y * frame.stride() + left..y * frame.stride() + left + bytes;
        pixels[row.clone()].copy_from_slice(&frame.pixels()[row]);
    }
}

fn pipeline(pixels: &Pixels<'static>) -> RenderPipeline {
    let device = pixels.device();
    let source = ShaderSource::Wgsl(include_str!("shader.wgsl").into());
    let module = device.create_shader_module(ShaderModuleDescriptor { label: None, source });
    device.create_render_pipeline(&RenderPipelineDescriptor {
        label: None,
        layout: None,
        vertex: VertexState {
            module: &module,
            entry_point: None,
            compilation_options: PipelineCompilationOptions::default(),
            buffers: &[],
        },
        primitive: Default::default(),
        depth_stencil: None,
        multisample: Default::default(),
        fragment: Some(FragmentState {
            module: &module,
            entry_point: None,
            compilation_options: PipelineCompilationOptions::default(),
            targets: &[Some(FORMAT.into())],
        }),
        multiview_mask: None,
        cache: None,
    })
}

/// The texture as the shader finds it.
fn bind(pixels: &Pixels<'static>, pipeline: &RenderPipeline, sampler: &Sampler) -> BindGroup {
    let view = pixels.texture().create_view(&TextureViewDescriptor::default());
    let entry = |binding, resource| BindGroupEntry { binding, resource };
    pixels.device().create_bind_group(&BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[entry(0, BindingResource::TextureView(&view)), entry(1, BindingResource::Sampler(sampler))],
    })
}
